"""What a state's name means for a status: which states are over, which ones failed, which ones matter most."""

from __future__ import annotations

from enum import IntEnum

PENDING = "Pending"
MAPPED = "Mapped"
RETRYING = "Retrying"

ROOT_FAILURES = frozenset({"Failed", "TimedOut", "Crashed", "ValidationFailed"})
"""Failures that are not merely another task's failure passed on."""
FAILURES = ROOT_FAILURES | {"TriggerFailed"}
CANCELLATIONS = frozenset({"Cancelled"})
FINISHED = FAILURES | CANCELLATIONS | {"Success", "Cached", "Mapped", "Skipped", "Finished"}
RUNNING = frozenset({"Running", "Cancelling"})
WAITING = frozenset({"Retrying", "Scheduled", "Resume"})
"""States that start by themselves when their time comes."""
UNFINISHED_OTHERS = frozenset({"Pending", "Paused", "Submitted", "Queued", "Looped"})
ENDED_VISIT = FINISHED | WAITING | {"Paused"}
"""States in which the body does not run any more, until the task run is submitted again."""
KNOWN = FINISHED | RUNNING | WAITING | UNFINISHED_OTHERS
"""Every state name that the custom resource takes."""


class Priority(IntEnum):
    """The order in which task runs keep their place in a status that has become too large; lowest stays longest."""

    FAILED = 0
    PAUSED = 1
    RUNNING = 2
    RETRYING = 3
    OTHER = 4
    PENDING = 5


def priority(state: str) -> Priority:
    """How much the state matters to somebody who looks for what is wrong, or goes on."""
    if state in FAILURES:
        return Priority.FAILED
    if state == "Paused":
        return Priority.PAUSED
    if state in RUNNING:
        return Priority.RUNNING
    if state in WAITING:
        return Priority.RETRYING
    if state in UNFINISHED_OTHERS:
        return Priority.PENDING
    return Priority.OTHER
