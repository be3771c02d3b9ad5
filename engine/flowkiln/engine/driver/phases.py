"""The phases of task runs and of the run in the driver, and the tables of the moves between them."""

from __future__ import annotations

import enum
from collections.abc import Mapping

from flowkiln.common.exceptions import FlowkilnError


class Phase(enum.Enum):
    """The phase of a task run.

    WAITING: for upstream. SUBMITTED. DELAYED: until a time. BLOCKED: until somebody resumes it (Paused), or until
    something else in the run changes. DONE.
    """

    WAITING = enum.auto()
    SUBMITTED = enum.auto()
    DELAYED = enum.auto()
    BLOCKED = enum.auto()
    DONE = enum.auto()


MOVES: Mapping[Phase, frozenset[Phase]] = {
    # From an initial state: DELAYED, BLOCKED, DONE. DONE also when the run is terminated.
    Phase.WAITING: frozenset({Phase.SUBMITTED, Phase.DELAYED, Phase.BLOCKED, Phase.DONE}),
    # WAITING: its unit did not reach it, or was lost.
    Phase.SUBMITTED: frozenset({Phase.WAITING, Phase.DELAYED, Phase.BLOCKED, Phase.DONE}),
    Phase.DELAYED: frozenset({Phase.WAITING, Phase.DONE}),
    # DONE: a mapped parent that is resumed, or the run is terminated.
    Phase.BLOCKED: frozenset({Phase.WAITING, Phase.DONE}),
    # Its result was lost.
    Phase.DONE: frozenset({Phase.WAITING}),
}
"""The allowed moves of a task run, with reasons where they are not obvious."""


class RunPhase(enum.Enum):
    """The phase of the run. FINISHED: nothing is left to do, unless a result is lost. TERMINATED: on request."""

    CREATED = enum.auto()
    RUNNING = enum.auto()
    FINISHED = enum.auto()
    TERMINATED = enum.auto()


RUN_MOVES: Mapping[RunPhase, frozenset[RunPhase]] = {
    RunPhase.CREATED: frozenset({RunPhase.RUNNING}),
    RunPhase.RUNNING: frozenset({RunPhase.FINISHED, RunPhase.TERMINATED}),
    RunPhase.FINISHED: frozenset({RunPhase.RUNNING}),
    RunPhase.TERMINATED: frozenset(),
}


class DriverError(FlowkilnError):
    """The driver of a run is in an invalid state: a defect of flowkiln. The message has the recent events."""


class InvalidTransition(DriverError):
    """A task run, or the run, was about to make a move that is not allowed."""


class InvariantViolated(DriverError):
    """An invariant of the driver is violated."""
