"""A function as a task."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Generic, ParamSpec, Self, TypeVar, Unpack, overload

from flowkiln.core.active import Building
from flowkiln.core.signature import check_run_signature
from flowkiln.core.task import Task, TaskOptions

P = ParamSpec("P")
R = TypeVar("R")


class FunctionTask(Task, Generic[P, R]):
    """A task whose `run` is a function, and which has the function's name.

    Type checkers see the function's signature in calls, and accept a task for every type. They do not check calls with
    `mapped`, `task_args`, `upstream_tasks` or `flow`, nor the arguments of `map`, whose types differ from the
    function's. All are checked when the flow is built.

    Raises:
        TypeError: `fn` is not callable.
        ValueError: its signature cannot be that of a task.
    """

    run: Callable[P, R]

    def __init__(self, fn: Callable[P, R], name: str | None = None, **kwargs: Unpack[TaskOptions]) -> None:
        if not callable(fn):
            raise TypeError(f"A FunctionTask needs a function, not {fn!r}.")
        check_run_signature(fn)
        super().__init__(name=name or getattr(fn, "__name__", None), **kwargs)
        self.run = fn

    @overload  # type: ignore[override]
    def __call__(self, /, *args: P.args, **kwargs: P.kwargs) -> Self: ...
    @overload
    def __call__(
        self,
        /,
        *args: Any,
        upstream_tasks: Iterable[Any] | None,
        mapped: bool = ...,
        task_args: Mapping[str, Any] | None = ...,
        flow: Building | None = ...,
        **kwargs: Any,
    ) -> Self: ...
    @overload
    def __call__(
        self,
        /,
        *args: Any,
        task_args: Mapping[str, Any] | None,
        mapped: bool = ...,
        flow: Building | None = ...,
        **kwargs: Any,
    ) -> Self: ...
    @overload
    def __call__(self, /, *args: Any, mapped: bool, flow: Building | None = ..., **kwargs: Any) -> Self: ...
    @overload
    def __call__(self, /, *args: Any, flow: Building | None, **kwargs: Any) -> Self: ...
    def __call__(self, /, *args: Any, **kwargs: Any) -> Self:
        """Bind a copy of this task to its arguments, and return the copy; see `Task.__call__`."""
        return super().__call__(*args, **kwargs)

    @overload  # type: ignore[override]  # fewer arguments fit than those of a Task that is nobody's function
    def bind(self, /, *args: P.args, **kwargs: P.kwargs) -> Self: ...
    @overload
    def bind(
        self,
        /,
        *args: Any,
        upstream_tasks: Iterable[Any] | None,
        mapped: bool = ...,
        flow: Building | None = ...,
        **kwargs: Any,
    ) -> Self: ...
    @overload
    def bind(self, /, *args: Any, mapped: bool, flow: Building | None = ..., **kwargs: Any) -> Self: ...
    @overload
    def bind(self, /, *args: Any, flow: Building | None, **kwargs: Any) -> Self: ...
    def bind(self, /, *args: Any, **kwargs: Any) -> Self:
        """Add this task to the flow with its arguments; see `Task.bind`."""
        return super().bind(*args, **kwargs)
