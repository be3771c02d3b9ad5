"""Dask on this machine, as `flowkiln run` uses it."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from multiprocessing import resource_tracker
from typing import Any

from distributed import Client

from flowkiln.cli.output.capture import OutputAddress
from flowkiln.cli.output.worker import OutputOfWorker
from flowkiln.engine.executors.dask import DaskExecutor


class CapturedDaskExecutor(DaskExecutor):
    """Has worker processes that Ctrl-C does not reach, and brings their output and log to this process.

    A terminal sends Ctrl-C to workers too, but it is this process that has to decide what becomes of the run.
    """

    def __init__(self, output: OutputAddress, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._output = output

    @contextmanager
    def start(self) -> Iterator[Client]:
        """Open a client and a local cluster whose processes are as the class says."""
        with ExitStack() as held:
            # Processes and threads inherit what is blocked in the thread that starts them. The resource tracker
            # unblocks SIGINT in the thread that first needs it: let that be this one.
            resource_tracker.ensure_running()
            unblocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
            try:
                client = held.enter_context(super().start())
            finally:
                signal.pthread_sigmask(signal.SIG_SETMASK, unblocked)
            client.register_plugin(OutputOfWorker(self._output))
            yield client
