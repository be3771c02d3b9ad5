"""Positions and source text of the values of a document."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(slots=True)
class SourceNode:
    """A value in a text. Lines and columns count from 1; the position of a value in a mapping is that of its key."""

    line: int
    column: int
    text: str | None = None
    """The source text of a scalar without quotes and tags; None for anything else."""
    parts: dict[str, SourceNode] | list[SourceNode] | None = None
    key: str | None = None
    """The source text of this value's key if it is read as something else: `y`, which is true."""

    def moved_to(self, line: int, column: int, key: str | None = None) -> SourceNode:
        """Return the same value at the position of its key or of an alias."""
        return SourceNode(line, column, self.text, self.parts, key)

    def text_at(self, path: Sequence[int | str]) -> str | None:
        """Return the source text of the scalar at a path, or None."""
        here: SourceNode | None = self
        for step in path:
            here = _part(here, step)
        return None if here is None else here.text

    def locate(self, field: str) -> SourceNode:
        """Return the node of a problem's field, such as `spec.tasks[2].name`, or its nearest existing ancestor.

        Keys may contain dots, so the longest matching key is followed.
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
