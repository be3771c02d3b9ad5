"""The executors that `flowkiln run` offers by name."""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from enum import StrEnum
from multiprocessing import resource_tracker

from distributed import Client, Worker, WorkerPlugin

from flowkiln.engine.executors import Executor, LocalExecutor, SynchronousExecutor
from flowkiln.engine.executors.dask import DaskExecutor
from flowkiln.utilities.logging import RUN


class ExecutorKind(StrEnum):
    """Where tasks run."""

    DASK = "dask"
    THREADS = "threads"
    SYNC = "sync"
    LOCAL = "local"


class _LogOfBodies(WorkerPlugin):  # type: ignore[misc]
    """Lets a worker process record what task bodies say, for nobody but those that it is forwarded to."""

    name = "flowkiln-cli-log"

    def setup(self, worker: Worker) -> None:
        logger = logging.getLogger(RUN)
        logger.setLevel(logging.INFO)
        logger.propagate = False


class _TalkingDaskExecutor(DaskExecutor):
    """Has worker processes that Ctrl-C does not reach, and brings the log of task bodies from them to this process.

    A terminal sends Ctrl-C to workers too, but it is this process that has to decide what becomes of the run.
    """

    @contextmanager
    def start(self) -> Iterator[Client]:
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


def make_executor(kind: ExecutorKind, workers: int | None) -> Executor:
    """Make an executor; `workers` counts processes or threads, by default one for each core and at least two."""
    count = workers or max(2, os.cpu_count() or 2)
    match kind:
        case ExecutorKind.DASK:
            return _TalkingDaskExecutor(local_processes=True, n_workers=count, threads_per_worker=1)
        case ExecutorKind.THREADS:
            return DaskExecutor(local_processes=False, n_workers=1, threads_per_worker=count)
        case ExecutorKind.SYNC:
            return SynchronousExecutor()
        case ExecutorKind.LOCAL:
            return LocalExecutor()
