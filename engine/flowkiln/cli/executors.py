"""The executors that `flowkiln run` offers by name."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum

from distributed import Client

from flowkiln.engine.executors import Executor, LocalExecutor, SynchronousExecutor
from flowkiln.engine.executors.dask import DaskExecutor
from flowkiln.utilities.logging import RUN

_ANY_PORT = "127.0.0.1:0"
"""Where Dask's own pages are served: several runs on one machine must not quarrel about a port."""


class ExecutorKind(StrEnum):
    """Where tasks run."""

    DASK = "dask"
    THREADS = "threads"
    SYNC = "sync"
    LOCAL = "local"


class _TalkingDaskExecutor(DaskExecutor):
    """Brings the log of task bodies from worker processes to the logging of this one."""

    @contextmanager
    def start(self) -> Iterator[Client]:
        with super().start() as client:
            client.forward_logging(RUN, level=logging.INFO)
            yield client


def make_executor(kind: ExecutorKind, workers: int | None) -> Executor:
    """Make an executor; `workers` counts processes or threads, by default one for each core and at least two."""
    count = workers or max(2, os.cpu_count() or 2)
    match kind:
        case ExecutorKind.DASK:
            return _TalkingDaskExecutor(
                local_processes=True, n_workers=count, threads_per_worker=1, dashboard_address=_ANY_PORT
            )
        case ExecutorKind.THREADS:
            return DaskExecutor(
                local_processes=False, n_workers=1, threads_per_worker=count, dashboard_address=_ANY_PORT
            )
        case ExecutorKind.SYNC:
            return SynchronousExecutor()
        case ExecutorKind.LOCAL:
            return LocalExecutor()
