"""The console of a run. A failed write never ends the run: output that cannot be written is dropped or replaced."""

from __future__ import annotations

import io
import os
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from threading import RLock
from typing import IO, TextIO, cast

from rich.console import Console, ConsoleDimensions

DEFAULT_WIDTH = 80
MIN_WIDTH = 20
DEFAULT_HEIGHT = 25


class ResilientStream:
    """A stream wrapper that never raises.

    Characters outside its encoding are replaced. Once a write fails, because the disk is full or the reader is gone,
    all further text is dropped, and `error` has the reason.
    """

    def __init__(self, stream: TextIO | None) -> None:
        # Python has no stream if the program was started with a closed one.
        self._stream = stream if stream is not None else io.StringIO()
        self.error: Exception | None = None if stream is not None else BrokenPipeError("the stream is closed")
        self._lock = RLock()
        self._is_busy = False
        self._held: deque[str] = deque()

    @property
    def encoding(self) -> str:
        """Return the encoding of the stream."""
        return self._stream.encoding or "utf-8"

    def isatty(self) -> bool:
        """Return whether the stream is a terminal."""
        return self._stream.isatty()

    def fileno(self) -> int:
        """Return the stream's file descriptor."""
        return self._stream.fileno()

    def write(self, text: str) -> int:
        """Write as much as possible. In a signal handler, text is held until the interrupted write ends."""
        with self._lock:
            self._held.append(text)
            if not self._is_busy:
                self._carry_out(self._write_held)
        return len(text)

    def flush(self) -> None:
        """Write held text, if possible."""
        with self._lock:
            if not self._is_busy:
                self._carry_out(self._flush)

    def _carry_out(self, step: Callable[[], object]) -> None:
        # Python's streams raise when a signal handler interrupts a write with another write.
        self._is_busy = True
        try:
            step()
        except (OSError, ValueError) as error:
            self._give_up(error)
        finally:
            self._is_busy = False

    def _write_held(self) -> None:
        while self._held:
            text = self._held.popleft()
            if self.error is None:
                self._stream.write(_encodable_by(text, self.encoding))

    def _flush(self) -> None:
        self._write_held()
        if self.error is None:
            self._stream.flush()
        if self._held:
            self._flush()

    def _give_up(self, error: Exception) -> None:
        self.error = error
        # Python flushes the stream once more at exit and fails if it cannot, so discard that output.
        with suppress(OSError, ValueError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._stream.fileno())
            os.close(nowhere)


class _OwnTerminal(Console):
    """A console with the size of its own terminal, which is not on a standard file descriptor during a run."""

    @property  # type: ignore[misc]  # nobody sets it
    def size(self) -> ConsoleDimensions:
        """Return columns and rows."""
        usual = super().size
        if not self.is_terminal:
            return usual
        try:
            own = os.get_terminal_size(self.file.fileno())
        except (OSError, ValueError):
            return usual
        return ConsoleDimensions(
            usual.width if self._width is not None else own.columns or DEFAULT_WIDTH,
            usual.height if self._height is not None else own.lines or DEFAULT_HEIGHT,
        )


def make_console(stream: ResilientStream, *, quiet: bool = False) -> Console:
    """Make a console on a stream."""
    return _OwnTerminal(
        file=cast(IO[str], stream),
        quiet=quiet,
        width=_at_least("COLUMNS", MIN_WIDTH, DEFAULT_WIDTH, os.environ),
        height=_at_least("LINES", 5, DEFAULT_HEIGHT, os.environ),
    )


def _at_least(variable: str, least: int, usual: int, environment: Mapping[str, str]) -> int | None:
    """Return a replacement for a size in the environment that is too small to show anything, else None."""
    given = environment.get(variable, "")
    if not given.isdecimal() or int(given) >= least:
        return None
    return least if int(given) else usual


def _encodable_by(text: str, encoding: str) -> str:
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return text.replace("…", "...").encode(encoding, "replace").decode(encoding)
    return text
