"""Write tasks: the decorator, annotations of arguments, tags."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from inspect import signature
from typing import Any, ParamSpec, TypeVar, Unpack, overload

from flowkiln.common.context import context
from flowkiln.core.binding import EdgeAnnotation, as_task, flatten, mapped, unmapped
from flowkiln.core.task import TaskOptions
from flowkiln.core.values.function import FunctionTask
from flowkiln.states.signals import PAUSE

__all__ = [
    "EdgeAnnotation",
    "as_task",
    "defaults_from_attrs",
    "flatten",
    "mapped",
    "pause_task",
    "tags",
    "task",
    "unmapped",
]

P = ParamSpec("P")
R = TypeVar("R")
F = TypeVar("F", bound=Callable[..., Any])


@overload
def task(fn: Callable[P, R], /, *, name: str | None = ..., **task_args: Unpack[TaskOptions]) -> FunctionTask[P, R]: ...
@overload
def task(
    fn: None = None, /, *, name: str | None = ..., **task_args: Unpack[TaskOptions]
) -> Callable[[Callable[P, R]], FunctionTask[P, R]]: ...
def task(fn: Callable[..., Any] | None = None, /, **task_args: Any) -> Any:
    """Turn a function into a task: `@task`, `@task(name=...)` or `task(fn, name=...)`.

    The keywords are those of `Task`. Inside `with Flow`, calling the task adds a copy of it, bound to the arguments.

    Raises:
        ValueError: the function cannot be a task.
    """
    if fn is None:
        return lambda function: FunctionTask(fn=function, **task_args)
    return FunctionTask(fn=fn, **task_args)


@contextmanager
def tags(*words: str) -> Iterator[None]:
    """Tag every task that is created, copied or bound inside the block; the tags of nested blocks accumulate."""
    with context(tags={*(context.get("tags") or ()), *words}):
        yield


def pause_task(message: str | None = None) -> None:
    """Pause the task run whose body calls this; do nothing once it is resumed.

    Raises:
        signals.PAUSE: the task run was not resumed.
    """
    if not context.get("resume"):
        raise PAUSE(message or "The task paused itself and waits to be resumed.")


def defaults_from_attrs(*names: str) -> Callable[[F], F]:
    """Set arguments of `run` that were not passed from the attributes with the same names.

    An explicit None counts as passed. Other arguments are unchanged.

    Raises:
        AttributeError: at the call, if the task has no such attribute.
    """

    def decorate(run: F) -> F:
        known = signature(run)

        @wraps(run)
        def with_defaults(self: Any, /, *args: Any, **kwargs: Any) -> Any:
            passed = known.bind_partial(self, *args, **kwargs).arguments
            missing = {name: getattr(self, name) for name in names if name not in passed}
            return run(self, *args, **{**kwargs, **missing})

        return with_defaults  # type: ignore[return-value]  # wraps keeps the signature

    return decorate
