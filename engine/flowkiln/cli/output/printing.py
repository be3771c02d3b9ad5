"""Print lines of the run's log on the console that also shows the progress."""

from __future__ import annotations

import time
from collections.abc import Sequence

from rich.console import Console
from rich.text import Text

from flowkiln.cli.output.lines import Line

INTERVAL = 0.1
"""Seconds between two prints above a live table, which each print redraws."""

MANY = 1000
"""Number of lines that are printed before the interval ends."""


class LinePrinting:
    """Print lines at once, or batched above a live table. Not thread-safe."""

    def __init__(self, console: Console, name: str) -> None:
        """`name` is the flow's name, for lines without a task."""
        self._console, self._name = console, name
        self._waiting: list[Line] = []
        self._printed = 0.0

    def print(self, lines: Sequence[Line]) -> None:
        """Print lines now or with the next batch."""
        if self._console.quiet:
            return
        self._waiting.extend(lines)
        if len(self._waiting) >= MANY or not self._console.is_terminal:
            self.flush()
        else:
            self.tick()

    def tick(self) -> None:
        """Print lines that have waited long enough."""
        if self._waiting and time.monotonic() - self._printed >= INTERVAL:
            self.flush()

    def flush(self) -> None:
        """Print waiting lines."""
        lines, self._waiting = self._waiting, []
        if not lines:
            return
        text = "\n".join(self._shown(line) for line in lines)
        try:
            if self._console.is_terminal:
                self._console.print(Text.from_ansi(text), highlight=False, soft_wrap=True)
            else:
                self._console.file.write(f"{text}\n")
                self._console.file.flush()
        except (OSError, ValueError):
            # A closed pipe or a full disk must not end the run.
            pass
        self._printed = time.monotonic()

    def _shown(self, line: Line) -> str:
        facts = line.facts
        index = "" if facts.map_index is None else f"[{facts.map_index}]"
        origin = f"{facts.task}{index}" if facts.task else line.origin or self._name
        clock = time.strftime("%H:%M:%S", time.localtime(line.time))
        return f"{clock} {origin} | {line.level}{line.text}"
