"""The executors that `flowkiln run` offers by name."""

from __future__ import annotations

import os
from enum import StrEnum
from typing import TYPE_CHECKING

from flowkiln.engine.executors import Executor, LocalExecutor, SynchronousExecutor

if TYPE_CHECKING:
    from flowkiln.cli.output.capture import OutputAddress


class ExecutorKind(StrEnum):
    """Where tasks run."""

    DASK = "dask"
    THREADS = "threads"
    SYNC = "sync"
    LOCAL = "local"


def make_executor(kind: ExecutorKind, workers: int | None, output: OutputAddress) -> Executor:
    """Make an executor; `workers` is the number of processes or threads, by default one for each core, at least two.

    Worker processes send their output and log to `output`. Only kinds that need distributed import it, because the
    import takes longer than a small run.
    """
    count = workers or max(2, os.cpu_count() or 2)
    match kind:
        case ExecutorKind.DASK:
            from flowkiln.cli.local_dask import CapturedDaskExecutor

            return CapturedDaskExecutor(output, local_processes=True, n_workers=count, threads_per_worker=1)
        case ExecutorKind.THREADS:
            from flowkiln.engine.executors import DaskExecutor

            return DaskExecutor(local_processes=False, n_workers=1, threads_per_worker=count)
        case ExecutorKind.SYNC:
            return SynchronousExecutor()
        case ExecutorKind.LOCAL:
            return LocalExecutor()
