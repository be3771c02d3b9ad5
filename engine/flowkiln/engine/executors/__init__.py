"""Executors of task runs."""

from typing import TYPE_CHECKING, Any

from flowkiln.common.lazy_modules import lazy_submodules
from flowkiln.engine.executors.base import Executor
from flowkiln.engine.executors.local import LocalExecutor
from flowkiln.engine.executors.sync import SynchronousExecutor

if TYPE_CHECKING:
    from flowkiln.engine.executors.dask.executor import DaskExecutor

__all__ = ["DaskExecutor", "Executor", "LocalExecutor", "SynchronousExecutor"]


_submodule, __dir__ = lazy_submodules(__name__, ("base", "dask", "local", "sync"))


def __getattr__(name: str) -> Any:
    # Imported lazily, because distributed is slow to import.
    if name == "DaskExecutor":
        from flowkiln.engine.executors.dask.executor import DaskExecutor

        return DaskExecutor
    return _submodule(name)
