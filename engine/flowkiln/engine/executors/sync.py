"""An executor that runs everything in this thread, by Dask's synchronous scheduler."""

from __future__ import annotations

import queue
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from flowkiln.engine.executors.base import Executor

if TYPE_CHECKING:
    from flowkiln.engine.environment import RunEnvironment
    from flowkiln.engine.executors.session import Deliver, Session


class SynchronousExecutor(Executor):
    """Creates `dask.delayed` objects, which `wait` computes in this thread."""

    @contextmanager
    def start(self) -> Iterator[None]:
        """Use Dask's synchronous scheduler inside the block."""
        import dask

        with dask.config.set(scheduler="synchronous"):
            yield

    def submit(self, fn: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Return a delayed call."""
        import dask

        return dask.delayed(fn, pure=False)(*args, **kwargs)

    def map(self, fn: Callable[..., Any], *iterables: Any) -> list[Any]:
        """Return a delayed call for each tuple of elements."""
        return [self.submit(fn, *arguments) for arguments in zip(*iterables, strict=False)]

    def wait(self, futures: Any) -> Any:
        """Compute delayed calls, also nested ones, each once."""
        import dask

        with dask.config.set(scheduler="synchronous"):
            return dask.compute(futures)[0]

    def queue(self, maxsize: int = 0) -> Any:
        """Make a queue of this process."""
        return queue.Queue(maxsize=maxsize)

    def open_session(self, environment: RunEnvironment, deliver: Deliver) -> Session:
        """Run one unit after another in this thread."""
        # A program that only names an executor does not need what runs units.
        from flowkiln.engine.executors.session import SequentialSession

        return SequentialSession(self, environment, deliver)
