"""Lines of the run's log, and splitting bytes into lines."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from flowkiln.common.run_facts import RunFacts

LINE_LIMIT = 16 * 1024
"""Bytes after which an unfinished line is split."""


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the log. `origin` is the name of a logger; output has none."""

    text: str
    facts: RunFacts
    time: float = field(default_factory=time.time)
    level: str = ""
    origin: str = ""


class LineSplitter:
    """Split the bytes of one writer into lines.

    A carriage return restarts the line, as on a terminal: only the last state of a progress bar is shown.
    """

    def __init__(self) -> None:
        self._rest = b""
        self._is_cut = False

    def feed(self, data: bytes) -> Iterator[str]:
        """Add bytes and return the completed lines."""
        *whole, rest = (self._rest + data).split(b"\n")
        self._rest = b""
        for line in whole:
            if line or not self._is_cut:
                yield from _parts(line)
            self._is_cut = False
        if b"\r" in rest:
            rest = _last_state(rest, keep_end=True)
        if len(rest) > LINE_LIMIT:
            yield from _parts(rest)
            rest, self._is_cut = b"", True
        self._rest = rest

    def end(self) -> Iterator[str]:
        """Return the incomplete line."""
        rest, self._rest, self._is_cut = self._rest, b"", False
        if rest:
            yield from _parts(rest)

    @property
    def is_empty(self) -> bool:
        """Return whether there is no incomplete line."""
        return not self._rest and not self._is_cut


def _parts(line: bytes) -> Iterator[str]:
    if b"\r" in line:
        line = _last_state(line, keep_end=False)
    for start in range(0, max(1, len(line)), LINE_LIMIT):
        yield line[start : start + LINE_LIMIT].decode(errors="replace")


def _last_state(line: bytes, *, keep_end: bool) -> bytes:
    """Return the text after the last carriage return that is followed by text, or with `keep_end` may be."""
    stripped = line.rstrip(b"\r")
    last = stripped.rpartition(b"\r")[2]
    return last + b"\r" if keep_end and stripped != line else last
