"""Send the output of a worker process of the local Dask cluster to the process of the run."""

from __future__ import annotations

import os
import sys
import threading
import time
from contextlib import ExitStack
from pathlib import Path

from distributed import Worker, WorkerPlugin

from flowkiln.cli.output.capture import OutputAddress
from flowkiln.cli.output.log_handler import logging_to
from flowkiln.cli.output.messages import Message, encode
from flowkiln.cli.output.streams import LineStream, text_stream
from flowkiln.common.run_facts import RunFacts
from flowkiln.engine.bodies.observer import observing_bodies


class OutputOfWorker(WorkerPlugin):  # type: ignore[misc]
    """A plugin that sends the output and logs of a worker process through its own named pipe.

    Data in the pipe is read even if the process dies. A process that writes faster than the reader waits.
    """

    name = "flowkiln-cli-output"

    def __init__(self, address: OutputAddress) -> None:
        self._address = address

    def setup(self, worker: Worker) -> None:
        """Set up the worker process; called by Dask."""
        outlet = _Outlet(self._address.token, _open_pipe(self._address))
        outlet.take_over()
        self._for_ever = ExitStack()
        self._for_ever.enter_context(logging_to(outlet.say))
        self._for_ever.enter_context(observing_bodies(outlet))


def _open_pipe(address: OutputAddress) -> int:
    """Create the pipe and announce it through the inherited one."""
    path = str(Path(address.folder, str(os.getpid())))
    try:
        os.mkfifo(path, 0o600)
        # Opened for reading and writing, so opening does not block, and as a writer that notices a closed reader.
        both = os.open(path, os.O_RDWR)
        write_end = os.open(path, os.O_WRONLY)
    except OSError:
        # Only raw output of child processes has no origin then.
        return os.dup(2)
    for part in encode(address.token, Message("opened", (), path)):
        os.write(2, part)
    os.set_inheritable(both, False)
    return write_end


class _Outlet:
    def __init__(self, token: bytes, pipe: int) -> None:
        self._token, self._pipe = token, pipe
        self._lock = threading.Lock()
        self._streams = LineStream(1), LineStream(2)

    def take_over(self) -> None:
        """Replace standard output and error by the pipe."""
        for number, stream in zip((1, 2), self._streams, strict=True):
            os.dup2(self._pipe, number)
            stream.tell_line = self._print
        sys.stdout, sys.stderr = map(text_stream, self._streams)

    def say(self, text: str, level: str, origin: str, when: float, facts: RunFacts) -> None:
        """Send a line."""
        self._send(Message("said", (when, level, origin, *facts), text))

    def began(self, facts: RunFacts) -> None:
        """Handle the start of a body."""
        self._send(Message("began", facts))

    def ended(self, facts: RunFacts) -> None:
        """Handle the end of a body, and send its incomplete lines."""
        for stream in self._streams:
            stream.end_lines(facts)
        self._send(Message("ended", ()))

    def _print(self, text: str, facts: RunFacts) -> None:
        self.say(text, "", "", time.time(), facts)

    def _send(self, message: Message) -> None:
        for part in encode(self._token, message):
            try:
                os.write(self._pipe, part)
            except OSError:
                # The run's process is gone; this one ends soon.
                return
