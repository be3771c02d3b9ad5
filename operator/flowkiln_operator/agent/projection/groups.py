"""The importance of states in a status."""

from __future__ import annotations

from enum import IntEnum

from flowkiln.states.kinds import FAILURES, FINISHED, KNOWN, RUNNING, WAITING

ENDED_VISIT = FINISHED | WAITING | {"Paused"}
"""States after which the body does not run until the task run is submitted again."""


class Priority(IntEnum):
    """The priority of task runs in a status that is too large; the lowest stays longest."""

    FAILED = 0
    PAUSED = 1
    RUNNING = 2
    RETRYING = 3
    OTHER = 4
    PENDING = 5


def priority(state: str) -> Priority:
    """Return the priority of a state."""
    if state in FAILURES:
        return Priority.FAILED
    if state == "Paused":
        return Priority.PAUSED
    if state in RUNNING:
        return Priority.RUNNING
    if state in WAITING:
        return Priority.RETRYING
    if state in KNOWN - FINISHED:
        return Priority.PENDING
    return Priority.OTHER
