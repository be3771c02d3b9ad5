"""An executor that runs everything immediately in this process."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from flowkiln.engine.executors.base import Executor

if TYPE_CHECKING:
    from flowkiln.engine.environment import RunEnvironment
    from flowkiln.engine.executors.session import Deliver, Session


class LocalExecutor(Executor):
    """Runs each call immediately in the calling thread; `submit` raises its exceptions."""

    def submit(self, fn: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Call and return the value."""
        return fn(*args, **kwargs)

    def map(self, fn: Callable[..., Any], *iterables: Any) -> list[Any]:
        """Call for each tuple of elements and return the values."""
        return [fn(*arguments) for arguments in zip(*iterables, strict=False)]

    def wait(self, futures: Any) -> Any:
        """Return the argument unchanged: there is nothing to wait for."""
        return futures

    def open_session(self, environment: RunEnvironment, deliver: Deliver) -> Session:
        """Run one unit after another in this thread."""
        # A program that only names an executor does not need what runs units.
        from flowkiln.engine.executors.session import SequentialSession

        return SequentialSession(self, environment, deliver)
