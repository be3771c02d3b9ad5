"""The meaning of the kinds of States: finished, failed, waiting.

A kind is the name of a built-in State class, as used in records and the custom resource. The sets follow from the
classes: a new class is in the sets of its bases.
"""

from __future__ import annotations

from typing import Final

from flowkiln.states.state import (
    KINDS,
    Failed,
    Finished,
    Looped,
    Mapped,
    Pending,
    Running,
    Scheduled,
    State,
    Success,
    TriggerFailed,
)


def _kinds_of(*classes: type[State]) -> frozenset[str]:
    return frozenset(kind for one, kind in KINDS.items() if issubclass(one, classes))


KNOWN: Final = frozenset(KINDS.values())
FAILURES: Final = _kinds_of(Failed)
ROOT_FAILURES: Final = FAILURES - _kinds_of(TriggerFailed)
"""Failures of the task run itself: a failed trigger only reports the failure of another task."""
SUCCESSES: Final = _kinds_of(Success)
FINISHED: Final = _kinds_of(Finished) - _kinds_of(Looped)
"""Kinds of finished task runs; a looping task run continues after an iteration."""
RUNNING: Final = _kinds_of(Running)
WAITING: Final = _kinds_of(Scheduled)
"""Kinds of task runs that start by themselves at a given time."""

NOT_STARTED: Final = KINDS[Pending]
"""The kind of a task run without records."""
MAPPED: Final = KINDS[Mapped]
