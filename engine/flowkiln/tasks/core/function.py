"""A function as a task."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flowkiln.core.signature import check_run_signature
from flowkiln.core.task import Task


class FunctionTask(Task):
    """A task whose `run` is a function; named after it.

    Raises:
        TypeError: `fn` cannot be called.
        ValueError: its signature cannot be that of a task.
    """

    def __init__(self, fn: Callable[..., Any], name: str | None = None, **kwargs: Any) -> None:
        if not callable(fn):
            raise TypeError(f"A FunctionTask needs a function, not {fn!r}.")
        check_run_signature(fn)
        super().__init__(name=name or getattr(fn, "__name__", None), **kwargs)
        self.run = fn
