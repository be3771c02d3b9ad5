"""How much there is to read in a document, found before anything is made of it."""

from __future__ import annotations

from collections.abc import Collection

MAX_WEIGHT = 120_000
"""What the spec of one object may weigh: to read that much takes less than 100 ms."""


def is_too_heavy(document: object, most: int = MAX_WEIGHT) -> bool:
    """Whether a JSON document weighs more than `most`: 4 for each mapping, 2 for each list, 1 for each value in them.

    The work ends as soon as that is sure.
    """
    rest, weight = [document], 0
    while rest:
        part = rest.pop()
        match part:
            case dict():
                inner: Collection[object] = part.values()
                weight += 4
            case list():
                inner = part
                weight += 2
            case _:
                inner = ()
        weight += len(inner)
        if weight > most:
            return True
        rest += [value for value in inner if isinstance(value, dict | list)]
    return False
