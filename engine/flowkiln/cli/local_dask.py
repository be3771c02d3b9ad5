"""The local Dask cluster of `flowkiln run`."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from multiprocessing import resource_tracker
from typing import Any

from distributed import Client

from flowkiln.cli.output.capture import OutputAddress
from flowkiln.cli.output.worker import OutputOfWorker
from flowkiln.engine.executors.dask.executor import DaskExecutor


class CapturedDaskExecutor(DaskExecutor):
    """A DaskExecutor that captures the output and log of its worker processes, and shields them from Ctrl-C.

    A terminal sends Ctrl-C to workers too, but this process decides how the run ends.
    """

    def __init__(self, output: OutputAddress, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._output = output

    @contextmanager
    def start(self) -> Iterator[Client]:
        """Start a local cluster and a client, and install the capture in each worker."""
        with ExitStack() as held:
            # Processes and threads inherit the signal mask of the thread that starts them. The resource tracker
            # unblocks SIGINT when it starts, so it starts before the mask is set.
            resource_tracker.ensure_running()
            unblocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
            try:
                client = held.enter_context(super().start())
            finally:
                signal.pthread_sigmask(signal.SIG_SETMASK, unblocked)
            client.register_plugin(OutputOfWorker(self._output))
            yield client
