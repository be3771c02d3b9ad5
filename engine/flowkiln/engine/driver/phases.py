"""The phases of a task run and of the whole run in the driver, and the one table of the moves between them."""

from __future__ import annotations

import enum
from collections.abc import Mapping

from flowkiln.common.exceptions import FlowkilnError


class Phase(enum.Enum):
    """Where a task run stands between submissions.

    WAITING: for upstream. SUBMITTED. DELAYED: until a time. BLOCKED: until somebody resumes it (Paused), or until
    something else in the run changes. DONE.
    """

    WAITING = enum.auto()
    SUBMITTED = enum.auto()
    DELAYED = enum.auto()
    BLOCKED = enum.auto()
    DONE = enum.auto()


MOVES: Mapping[Phase, frozenset[Phase]] = {
    # By a state that the caller gave: DELAYED, BLOCKED, DONE. DONE also when the run is terminated.
    Phase.WAITING: frozenset({Phase.SUBMITTED, Phase.DELAYED, Phase.BLOCKED, Phase.DONE}),
    # WAITING: its unit did not come to it, or was lost.
    Phase.SUBMITTED: frozenset({Phase.WAITING, Phase.DELAYED, Phase.BLOCKED, Phase.DONE}),
    Phase.DELAYED: frozenset({Phase.WAITING, Phase.DONE}),
    # DONE: a mapped parent that is resumed, or the run is terminated.
    Phase.BLOCKED: frozenset({Phase.WAITING, Phase.DONE}),
    # Its result was lost.
    Phase.DONE: frozenset({Phase.WAITING}),
}
"""Which phase of a task run may follow which, and why where that is not plain."""


class RunPhase(enum.Enum):
    """Where the whole run stands. FINISHED: nothing is left to do, unless a result is lost. TERMINATED: on request."""

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
    """The driver of a run is in a state that must not be: a defect of flowkiln. The message tells what led there."""


class InvalidTransition(DriverError):
    """A task run, or the run, was to move to a phase that must not follow the one that it is in."""


class InvariantViolated(DriverError):
    """What must always be true of the driver is not."""
