"""One thing that is wrong, and where."""

from __future__ import annotations

import difflib
import heapq
from collections.abc import Iterable
from dataclasses import dataclass, replace

MAX_SENTENCE = 1024
_COMPARED = 20
"""How many names a misspelt one is compared with."""


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with a field. `field` is its path, such as `spec.tasks[2].inputs[0].task`."""

    field: str
    message: str

    @property
    def sentence(self) -> str:
        """Field and message in one line, short enough for a condition's message."""
        sentence = " ".join(f"{self.field}: {self.message}".split())
        return sentence if len(sentence) <= MAX_SENTENCE else f"{sentence[: MAX_SENTENCE - 1]}…"

    def under(self, prefix: str) -> Problem:
        """Return the same problem of a field that is inside another one."""
        return replace(self, field=f"{prefix}.{self.field}" if self.field else prefix)

    def __str__(self) -> str:
        return self.sentence


def no_such(kind: str, name: str, known: Iterable[str]) -> str:
    """Return a message that a name is unknown, with the most similar known name."""
    message = f'there is no {kind} "{name}"'
    # A comparison takes long. A misspelt name is right at its beginning and its end, more than any other.
    nearest = heapq.nlargest(_COMPARED, known, key=lambda other: _in_common(name, other))
    similar = difflib.get_close_matches(name, nearest, n=1)
    return f'{message}; did you mean "{similar[0]}"?' if similar else message


def _in_common(name: str, other: str) -> int:
    return _same_beginning(name, other) + _same_beginning(name[::-1], other[::-1])


def _same_beginning(name: str, other: str) -> int:
    return next((at for at, (one, two) in enumerate(zip(name, other, strict=False)) if one != two), len(name))
