"""Dask on this machine, as `flowkiln run` uses it."""

from __future__ import annotations

import logging
import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from multiprocessing import resource_tracker

from distributed import Client, Worker, WorkerPlugin

from flowkiln.engine.executors.dask import DaskExecutor
from flowkiln.utilities.logging import RUN


class _LogOfBodies(WorkerPlugin):  # type: ignore[misc]
    """Lets a worker process record what task bodies say, for nobody but those that it is forwarded to."""

    name = "flowkiln-cli-log"

    def setup(self, worker: Worker) -> None:
        logger = logging.getLogger(RUN)
        logger.setLevel(logging.INFO)
        logger.propagate = False


class TalkingDaskExecutor(DaskExecutor):
    """Has worker processes that Ctrl-C does not reach, and brings the log of task bodies from them to this process.

    A terminal sends Ctrl-C to workers too, but it is this process that has to decide what becomes of the run.
    """

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
            client.register_plugin(_LogOfBodies())
            client.forward_logging(RUN)
            yield client
