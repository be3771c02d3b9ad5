"""What is wrong with a schema or a value, and where."""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

Place: TypeAlias = "tuple[Place, int | str] | None"
"""A place in a document: the place that holds it, and the key or index there. None is the document itself."""

_MAX_MESSAGE = 300
_KEPT_END = 100


class Fault(NamedTuple):
    """A path inside a document, such as `.rows[3].id`, empty for the whole, and what is wrong there."""

    path: str
    message: str


def fault_at(place: Place, message: str) -> Fault:
    """Return a fault; a message that quotes a long value is shortened."""
    parts: list[str] = []
    while place is not None:
        place, key = place
        parts.append(f"[{key}]" if isinstance(key, int) else f".{key}")
    return Fault("".join(reversed(parts)), shortened(message))


def depth(place: Place) -> int:
    """Return how deep in the document a place is."""
    found = 0
    while place is not None:
        place, found = place[0], found + 1
    return found


def shortened(message: str) -> str:
    """Return the message at a length for people; what is wrong with a value that it quotes stands at its end."""
    if len(message) <= _MAX_MESSAGE:
        return message
    return f"{message[: _MAX_MESSAGE - _KEPT_END - 3]} … {message[-_KEPT_END:]}"
