"""Where task runs are executed."""

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
    # distributed is slow to import: only those who ask for it pay.
    if name == "DaskExecutor":
        from flowkiln.engine.executors.dask.executor import DaskExecutor

        return DaskExecutor
    return _submodule(name)
