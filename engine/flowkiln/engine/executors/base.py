"""The interface of executors. An executor needs `submit`, `wait`, and `start` if it has a setup."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from flowkiln.engine.bodies.timeouts import call_in_time

if TYPE_CHECKING:
    from flowkiln.engine.environment import RunEnvironment
    from flowkiln.engine.executors.session import Deliver, Session


class Executor:
    """Base of all executors. Calls are impure: two submits of one function are two calls."""

    timeout_handler = staticmethod(call_in_time)
    """Calls a body with a deadline: `fn(run, timeout=seconds, **inputs)`; an executor may override it."""

    def __init__(self) -> None:
        self.executor_id = f"{type(self).__name__}: {uuid.uuid4()}"

    @contextmanager
    def start(self) -> Iterator[Any]:
        """Set up and tear down around a whole run."""
        yield

    def submit(self, fn: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Schedule one call and return a future for `wait`."""
        raise NotImplementedError(f"{type(self).__name__} does not implement submit")

    def map(self, fn: Callable[..., Any], *iterables: Any) -> list[Any]:
        """Schedule one call for each tuple of elements, like zip."""
        raise NotImplementedError(f"{type(self).__name__} does not implement map")

    def wait(self, futures: Any) -> Any:
        """Resolve futures, also those nested in lists and dicts; other values are returned unchanged."""
        raise NotImplementedError(f"{type(self).__name__} does not implement wait")

    def queue(self, maxsize: int = 0) -> Any:
        """Make a queue that tasks can share."""
        raise NotImplementedError(f"{type(self).__name__} does not implement queue")

    def open_session(self, environment: RunEnvironment, deliver: Deliver) -> Session:
        """Open a session for the units of one run; by default on top of `submit` and `wait`."""
        # A program that only names an executor does not need what runs units.
        from flowkiln.engine.executors.session import SubmittingSession

        return SubmittingSession(self, environment, deliver)

    def __repr__(self) -> str:
        return f"<Executor: {type(self).__name__}>"
