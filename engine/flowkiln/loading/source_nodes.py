"""Where the values of a document stand in its text, and how they are written there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(slots=True)
class SourceNode:
    """A value as it stands in a text. Lines and columns count from 1; what is in a mapping stands at its key."""

    line: int
    column: int
    text: str | None = None
    """A scalar without quotes and tags, as it is written; None for anything else."""
    parts: dict[str, SourceNode] | list[SourceNode] | None = None
    key: str | None = None
    """The key of this value as it is written, where it is read as something else: `y`, which is true."""

    def moved_to(self, line: int, column: int, key: str | None = None) -> SourceNode:
        """Return the same value, seen from its key or from an alias."""
        return SourceNode(line, column, self.text, self.parts, key)

    def text_at(self, path: Sequence[int | str]) -> str | None:
        """Return how the scalar at a path is written, None where there is none."""
        here: SourceNode | None = self
        for step in path:
            here = _part(here, step)
        return None if here is None else here.text

    def locate(self, field: str) -> SourceNode:
        """Find what a problem's field names, such as `spec.tasks[2].name`, or the nearest thing around it.

        Keys may hold dots themselves, so the longest one that fits is followed.
        """
        here, rest = self, field
        while rest:
            rest = rest.removeprefix(".")
            if isinstance(here.parts, dict):
                keys = [key for key in here.parts if rest == key or rest.startswith((f"{key}.", f"{key}["))]
                if not keys:
                    return here
                key = max(keys, key=len)
                here, rest = here.parts[key], rest[len(key) :]
            elif isinstance(here.parts, list) and rest.startswith("["):
                index, _, rest = rest[1:].partition("]")
                if not index.isdecimal() or int(index) >= len(here.parts):
                    return here
                here = here.parts[int(index)]
            else:
                return here
        return here


def _part(here: SourceNode | None, step: int | str) -> SourceNode | None:
    parts = None if here is None else here.parts
    if isinstance(parts, dict) and isinstance(step, str):
        return parts.get(step)
    if isinstance(parts, list) and isinstance(step, int) and step < len(parts):
        return parts[step]
    return None
