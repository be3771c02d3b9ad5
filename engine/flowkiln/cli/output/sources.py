"""Read one pipe: raw bytes of child processes, and messages of a worker process."""

from __future__ import annotations

import os
from collections.abc import Iterator

from flowkiln.cli.output.lines import Line, LineSplitter
from flowkiln.cli.output.messages import Decoder, Message
from flowkiln.common.run_facts import RunFacts

NOBODY = RunFacts(None, None, None, None)


class Source:
    """The read end of a pipe. `body` is the origin of its raw output; `opened` are announced named pipes."""

    def __init__(self, number: int, token: bytes) -> None:
        self.number = number
        self.body: RunFacts | None = None
        self.opened: list[str] = []
        self._decoder = Decoder(token)
        self._raw = LineSplitter()
        os.set_blocking(number, False)

    def read(self, size: int) -> bytes | None:
        """Return available bytes: None if there are none now, empty bytes at the end."""
        try:
            return os.read(self.number, size)
        except BlockingIOError:
            return None

    def feed(self, data: bytes) -> Iterator[Line]:
        """Take bytes and give the lines that they complete."""
        for item in self._decoder.feed(data):
            match item:
                case bytes():
                    yield from self._lines(self._raw.feed(item))
                case Message("began", values):
                    yield from self.end_lines()
                    self.body = RunFacts(*values)
                case Message("ended"):
                    yield from self.end_lines()
                    self.body = None
                case Message("said", (time, level, origin, *facts), text):
                    yield Line(text, RunFacts(*facts), time, level, origin)
                case Message("opened", (), path):
                    self.opened.append(path)

    def end_lines(self) -> Iterator[Line]:
        """Return incomplete raw output."""
        yield from self._lines(self._raw.end())

    def close(self) -> None:
        """Close the pipe."""
        os.close(self.number)

    def _lines(self, texts: Iterator[str]) -> Iterator[Line]:
        for text in texts:
            yield Line(text, self.body or NOBODY)
