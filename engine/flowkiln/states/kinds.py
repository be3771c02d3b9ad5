"""What the kind of a State means: which kinds are over, which have failed, which wait.

A kind is the name of a built-in State class, as records and the custom resource have it. The sets follow from the
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
"""Failures of a task run's own: a failed trigger only passes on that of another task."""
SUCCESSES: Final = _kinds_of(Success)
FINISHED: Final = _kinds_of(Finished) - _kinds_of(Looped)
"""Kinds after which nothing more happens; a task run goes on after one iteration of its loop."""
RUNNING: Final = _kinds_of(Running)
WAITING: Final = _kinds_of(Scheduled)
"""Kinds that go on by themselves when their time comes."""

NOT_STARTED: Final = KINDS[Pending]
"""The kind of a task run of which nothing is known yet."""
MAPPED: Final = KINDS[Mapped]
