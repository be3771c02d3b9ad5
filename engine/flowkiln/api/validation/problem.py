"""One thing that is wrong, and where."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass, replace

MAX_SENTENCE = 1024


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
        """Give the same problem of a field that is inside another one."""
        return replace(self, field=f"{prefix}.{self.field}" if self.field else prefix)

    def __str__(self) -> str:
        return self.sentence


def no_such(kind: str, name: str, known: Iterable[str]) -> str:
    """Say that a name means nothing, and which similar one does."""
    message = f'there is no {kind} "{name}"'
    similar = difflib.get_close_matches(name, list(known), n=1)
    return f'{message}; did you mean "{similar[0]}"?' if similar else message
