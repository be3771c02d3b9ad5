"""Capture the standard output and error of this process and its children, for the log of a run."""

from __future__ import annotations

import fcntl
import os
import select
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from flowkiln.cli.output.lines import Line
from flowkiln.cli.output.log_handler import logging_to
from flowkiln.cli.output.messages import new_token
from flowkiln.cli.output.order import OrderedLog
from flowkiln.cli.output.sources import Source
from flowkiln.cli.output.standard_input import prompting
from flowkiln.cli.output.streams import LineStream, text_stream
from flowkiln.common.run_facts import RunFacts, run_facts
from flowkiln.engine.bodies.observer import observing_bodies

PIPE_SIZE = 64 * 1024
"""Capacity of a pipe in bytes: one read returns everything written before it."""

PAUSE = 0.02
"""Seconds between two polls of the pipes while there is little output."""

IDLE = 0.1
"""Seconds between two polls of pending lines."""

_FIRST_PRIVATE = 10


@dataclass(frozen=True, slots=True)
class OutputAddress:
    """The address for the output of this run's worker processes: a folder for named pipes, and the message token."""

    folder: str
    token: bytes


class StandardStreams:
    """The original standard output and error of this program.

    All other writes to standard output go to standard error, so standard output has only the outcome of the run.
    `capturing` turns both into lines of a run's log.
    """

    def __init__(self, out: TextIO, err: TextIO, streams: tuple[LineStream, LineStream]) -> None:
        self.out, self.err = out, err
        self._streams = streams

    @contextmanager
    def capturing(self, log: OrderedLog) -> Iterator[OutputAddress]:
        """Pass the output of bodies and their children to the log, line by line, inside the block."""
        capture = _Capture(log, self._streams)
        with ExitStack() as held:
            held.callback(shutil.rmtree, capture.address.folder, ignore_errors=True)
            held.callback(capture.close)
            held.enter_context(observing_bodies(capture))
            held.enter_context(logging_to(capture.say))
            held.enter_context(prompting(capture.show_open_lines))
            capture.start()
            yield capture.address


@contextmanager
def standard_streams() -> Iterator[StandardStreams]:
    """Take over standard output and error inside the block; permanently if they are the process's own."""
    before = sys.stdout, sys.stderr
    is_own = _number(sys.stdout) == 1
    with ExitStack() as held:
        out, err = _Private(1, sys.stdout), _Private(2, sys.stderr)
        streams = LineStream(1, err.text), LineStream(2, err.text)
        os.dup2(err.number, 1)
        sys.stdout, sys.stderr = map(text_stream, streams)
        if not is_own:
            # A test that runs the program within its own process.
            held.callback(_restore, before, (out, err))
        yield StandardStreams(out.text, err.text, streams)


class _Private:
    """A duplicate of a file descriptor, and a text stream that writes there."""

    def __init__(self, number: int, stream: TextIO | None) -> None:
        if stream is not None:
            stream.flush()
        try:
            self.number = fcntl.fcntl(number, fcntl.F_DUPFD_CLOEXEC, _FIRST_PRIVATE)
        except OSError:
            # The program was started without this stream.
            self.number = os.open(os.devnull, os.O_WRONLY)
        if stream is not None and _number(stream) != number:
            self.text = stream
            return
        encoding, errors = getattr(stream, "encoding", "utf-8"), getattr(stream, "errors", None)
        errors = "backslashreplace" if errors in (None, "strict") else errors
        self.text = open(self.number, "w", encoding=encoding, errors=errors, closefd=False)  # noqa: SIM115  # until the end


def _number(stream: Any) -> int | None:
    try:
        number = stream.fileno()
    except (AttributeError, OSError, ValueError):
        return None
    return int(number)


def _restore(before: tuple[TextIO, TextIO], private: tuple[_Private, _Private]) -> None:
    sys.stdout, sys.stderr = before
    for number, one in zip((1, 2), private, strict=True):
        os.dup2(one.number, number)
        os.close(one.number)


class _Capture:
    """The pipes of one run, and a thread that reads them."""

    def __init__(self, log: OrderedLog, streams: tuple[LineStream, LineStream]) -> None:
        self._log, self._streams = log, streams
        self.address = OutputAddress(tempfile.mkdtemp(prefix="flowkiln-output-"), new_token())
        self._saved = [fcntl.fcntl(number, fcntl.F_DUPFD_CLOEXEC, _FIRST_PRIVATE) for number in (1, 2)]
        read_end, self._write_end = os.pipe()
        self._own = Source(read_end, self.address.token)
        self._sources = [self._own]
        self._bodies: dict[int, list[RunFacts]] = {}
        self._over = threading.Event()
        self._reader = threading.Thread(target=self._read, name="flowkiln-output", daemon=True)

    def start(self) -> None:
        """Replace standard output and error by the pipe."""
        for number in (1, 2):
            os.dup2(self._write_end, number)
        for stream in self._streams:
            stream.tell_line = self._print
        self._log.gather = self._drain
        self._reader.start()

    def close(self) -> None:
        """Emit everything, and restore standard output and error."""
        for stream in self._streams:
            stream.end_lines()
            stream.tell_line = None
        self._over.set()
        for number, saved in zip((1, 2), self._saved, strict=True):
            os.dup2(saved, number)
            os.close(saved)
        # This wakes the reader, unless a child process still holds the pipe.
        os.close(self._write_end)
        self._reader.join()
        with self._log.lock:
            self._drain()
            for source in self._sources:
                self._end_raw(source)
            self._log.finish()
            self._log.gather = lambda: None
            for source in self._sources:
                source.close()

    def show_open_lines(self) -> None:
        """Emit incomplete lines of the body of this thread, such as a prompt."""
        for stream in self._streams:
            stream.end_lines(run_facts())

    def began(self, facts: RunFacts) -> None:
        """Handle the start of a body in this thread."""
        with self._log.lock:
            self._drain()
            self._bodies.setdefault(threading.get_ident(), []).append(facts)
            self._own.body = self._only_body()

    def ended(self, facts: RunFacts) -> None:
        """Handle the end of a body in this thread, and emit its incomplete lines."""
        thread = threading.get_ident()
        with self._log.lock:
            self._drain()
            for stream in self._streams:
                stream.end_lines(facts)
            if self._own.body is not None:
                self._end_raw(self._own)
            bodies = self._bodies.get(thread, [])
            if bodies:
                bodies.pop()
            if not bodies:
                self._bodies.pop(thread, None)
            self._own.body = self._only_body()

    def _only_body(self) -> RunFacts | None:
        """Return the origin of output of child processes, if only one body runs in this process."""
        return next(iter(self._bodies.values()))[-1] if len(self._bodies) == 1 else None

    def say(self, text: str, level: str, origin: str, when: float, facts: RunFacts) -> None:
        """Emit a line of this process, after earlier output of its children."""
        with self._log.lock:
            self._drain()
            self._log.say(Line(text, facts, when, level, origin))

    def _print(self, text: str, facts: RunFacts) -> None:
        self.say(text, "", "", time.time(), facts)

    def _drain(self) -> int:
        """Emit everything written to the pipes so far, and return its size."""
        size = 0
        with self._log.lock:
            for source in list(self._sources):
                data = source.read(PIPE_SIZE)
                if data is None:
                    continue
                size += len(data)
                for line in source.feed(data):
                    self._log.say(line)
                for path in source.opened:
                    self._open(path)
                source.opened.clear()
                if not data:
                    self._end_raw(source)
                    self._sources.remove(source)
                    source.close()
        return size

    def _end_raw(self, source: Source) -> None:
        for line in source.end_lines():
            self._log.say(line)

    def _open(self, path: str) -> None:
        with suppress(OSError):
            self._sources.append(Source(os.open(path, os.O_RDONLY | os.O_NONBLOCK), self.address.token))
            Path(path).unlink()

    def _read(self) -> None:
        while not self._over.is_set():
            poll = select.poll()
            with self._log.lock:
                for source in self._sources:
                    poll.register(source.number, select.POLLIN)
            poll.poll(IDLE * 1000)
            size = self._drain()
            self._log.tick()
            if size < PIPE_SIZE // 4:
                self._over.wait(PAUSE)
