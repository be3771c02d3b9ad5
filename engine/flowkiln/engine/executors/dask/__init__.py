"""Execution on Dask: the executor, its session, and their plugins on scheduler and workers."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from flowkiln.engine.executors.dask.executor import DaskExecutor

__all__ = ["DaskExecutor"]


def __getattr__(name: str) -> Any:
    # Imported lazily: workers import modules of this package without the executor.
    if name == "DaskExecutor":
        from flowkiln.engine.executors.dask.executor import DaskExecutor

        return DaskExecutor
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
