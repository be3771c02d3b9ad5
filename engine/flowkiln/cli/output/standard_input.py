"""Standard input of bodies: show pending output before a body reads, so a prompt comes before its answer."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TextIO, cast


class PromptingInput:
    """A text stream that calls `before_read` before each read; all else is delegated to `stream`."""

    def __init__(self, stream: TextIO, before_read: Callable[[], object]) -> None:
        self._stream, self._before_read = stream, before_read

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def read(self, size: int = -1, /) -> str:
        """Read text."""
        self._before_read()
        return self._stream.read(size)

    def readline(self, size: int = -1, /) -> str:
        """Read a line, as `input()` and `pdb` do."""
        self._before_read()
        return self._stream.readline(size)

    def readlines(self, hint: int = -1, /) -> list[str]:
        """Read lines up to the end."""
        self._before_read()
        return self._stream.readlines(hint)

    def __iter__(self) -> Iterator[str]:
        while line := self.readline():
            yield line


@contextmanager
def prompting(before_read: Callable[[], object]) -> Iterator[None]:
    """Call `before_read` before each read of `sys.stdin` inside the block."""
    before = sys.stdin
    if before is not None:  # The program may have no standard input.
        sys.stdin = cast(TextIO, PromptingInput(before, before_read))
    try:
        yield
    finally:
        sys.stdin = before
