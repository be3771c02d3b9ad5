"""Text streams that replace standard output and error and know the origin of each line."""

from __future__ import annotations

import io
import os
import threading
from collections.abc import Callable
from typing import TextIO

from flowkiln.cli.output.lines import LineSplitter
from flowkiln.common.run_facts import RunFacts, run_facts

Tell = Callable[[str, RunFacts], None]
"""Called with a line and its origin."""


class LineStream(io.BufferedIOBase):
    """Collect the writes of each thread into lines, and pass them to `tell`.

    Without `tell`, writes go `through` unchanged. In a forked process lines are written to the file descriptor
    `number`, which this stream replaces.
    """

    def __init__(self, number: int, through: TextIO | None = None) -> None:
        self.tell_line: Tell | None = None
        self._number, self._through = number, through
        self._process = os.getpid()
        self._open: dict[int, tuple[LineSplitter, RunFacts]] = {}

    def write(self, data: bytes, /) -> int:  # type: ignore[override]
        """Add text and pass on the completed lines."""
        written = bytes(data)
        if os.getpid() != self._process:
            self._become_child()
        tell = self.tell_line
        if tell is None:
            self._pass_on(written)
            return len(written)
        thread, facts = threading.get_ident(), run_facts()
        known = self._open.get(thread)
        if known is not None and known[1] != facts:
            # The thread now runs another body.
            self._end(thread)
            known = None
        splitter = LineSplitter() if known is None else known[0]
        for line in splitter.feed(written):
            tell(line, facts)
        if splitter.is_empty:
            self._open.pop(thread, None)
        else:
            self._open[thread] = (splitter, facts)
        return len(written)

    def flush(self) -> None:
        """Do nothing: an incomplete line waits for its end, or for the end of the body."""
        if os.getpid() != self._process:
            # Multiprocessing flushes before it ends a child process.
            self.end_lines()

    def end_lines(self, facts: RunFacts | None = None) -> None:
        """Pass on the incomplete lines of the threads of a task run, or of all threads."""
        if os.getpid() != self._process:
            self._become_child()
        for thread, (_, known) in list(self._open.items()):
            if facts is None or known[:3] == facts[:3]:
                self._end(thread)

    def fileno(self) -> int:
        """Return the file descriptor that this stream replaces; child processes inherit it."""
        return self._number

    def isatty(self) -> bool:
        """Return whether writes reach a terminal unchanged."""
        return self.tell_line is None and self._through is not None and self._through.isatty()

    def writable(self) -> bool:
        """Return True."""
        return True

    def _end(self, thread: int) -> None:
        found = self._open.pop(thread, None)
        if found is not None and self.tell_line is not None:
            for line in found[0].end():
                self.tell_line(line, found[1])

    def _pass_on(self, data: bytes) -> None:
        if self._through is not None:
            self._through.write(data.decode(errors="replace"))
            self._through.flush()

    def _become_child(self) -> None:
        self._process = os.getpid()
        # The parent passes on the line that it started.
        self._open.clear()
        if self.tell_line is not None:
            self.tell_line = lambda line, _: write_raw(self._number, f"{line}\n")


def write_raw(number: int, text: str) -> None:
    """Write to a file descriptor, and ignore a closed reader."""
    data = text.encode(errors="backslashreplace")
    try:
        while data:
            data = data[os.write(number, data) :]
    except OSError:
        return


def text_stream(lines: LineStream) -> TextIO:
    """Return a stream for `sys.stdout` or `sys.stderr` that accepts any text."""
    return io.TextIOWrapper(lines, "utf-8", errors="backslashreplace", write_through=True)  # type: ignore[type-var]  # `raw` is never asked for
