"""Select what stays in `status.tasks` when not everything fits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from flowkiln.api.limits import MAX_TASKS
from flowkiln_operator.agent.projection.groups import Priority


@dataclass(frozen=True, slots=True)
class Candidate:
    """One task's entry as JSON text: in full, and without its index ranges. Sizes are in bytes of UTF-8."""

    name: str
    priority: Priority
    full: str
    bare: str
    full_size: int
    bare_size: int


def fit(candidates: Sequence[Candidate], budget: int) -> list[str]:
    """Return the entries that fit in `budget` bytes as a JSON array, in the given order.

    Entries without index ranges come first, then index ranges are added; both in the order of `Priority`, and within
    one priority by name.
    """
    room = budget - len("[]")
    comma = 1
    size = sum(candidate.full_size for candidate in candidates) + comma * len(candidates)
    if size <= room and len(candidates) <= MAX_TASKS:
        return [candidate.full for candidate in candidates]
    ranked = sorted(candidates, key=lambda candidate: (candidate.priority, candidate.name))[:MAX_TASKS]
    kept: dict[str, str] = {}
    for candidate in ranked:
        if candidate.bare_size + comma > room:
            break
        room -= candidate.bare_size + comma
        kept[candidate.name] = candidate.bare
    for candidate in ranked:
        more = candidate.full_size - candidate.bare_size
        if candidate.name in kept and 0 < more <= room:
            room -= more
            kept[candidate.name] = candidate.full
    return [kept[candidate.name] for candidate in candidates if candidate.name in kept]
