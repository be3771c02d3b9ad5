"""What people use to write tasks: the decorator, annotations of arguments, tags."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import wraps
from inspect import signature
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, Unpack, overload

from flowkiln.common.context import context
from flowkiln.core.active import active_flow
from flowkiln.core.operators import FitsAnywhere
from flowkiln.core.task import Task, TaskOptions

if TYPE_CHECKING:
    from flowkiln.core.flow import Flow
    from flowkiln.tasks.core.function import FunctionTask

P = ParamSpec("P")
R = TypeVar("R")
F = TypeVar("F", bound=Callable[..., Any])


class EdgeAnnotation(FitsAnywhere):
    """Says, around an argument, how its edge is made.

    Like the value inside, it may be used more than once: what is no task is made into a new one at each use.
    """

    def __init__(self, value: Any) -> None:
        self.value = value

    @property
    def task(self) -> Task:
        """The value inside as a task; what is none is made into one in the active flow."""
        return as_task(self.value)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.value!r})"


class unmapped(EdgeAnnotation):  # noqa: N801 (used like a function)
    """In a mapped call: this argument goes to every child as it is."""


class mapped(EdgeAnnotation):  # noqa: N801 (used like a function)
    """In a plain call: the task runs once per element of this argument."""


class flatten(EdgeAnnotation):  # noqa: N801 (used like a function)
    """One level of nesting is taken out of this argument before it is mapped over or passed on."""


@dataclass(frozen=True, slots=True)
class EdgeOptions:
    """How the edge of one argument is made."""

    mapped: bool
    flattened: bool


def edge_options(value: Any, mapped_call: bool) -> EdgeOptions:
    """Read the annotations around an argument, which may be nested: `flatten(unmapped(x))`."""
    is_mapped, is_flattened = mapped_call, False
    while isinstance(value, EdgeAnnotation):
        match value:
            case unmapped():
                is_mapped = False
            case mapped():
                is_mapped = True
            case flatten():
                is_flattened = True
        value = value.value
    return EdgeOptions(is_mapped, is_flattened)


def as_task(x: Any, flow: Flow | None = None) -> Task:
    """Make a task of anything: collections and functions become tasks of their kind, other values constants.

    Args:
        x: a task (given back as it is), an annotated one, a list, tuple, set or dict, a callable, or any value.
        flow: where the elements of a collection are bound; None means the active flow.

    Raises:
        ValueError: `x` is a collection and there is no flow; or a function that cannot be a task.
    """
    from flowkiln.tasks.core import collections
    from flowkiln.tasks.core.constants import Constant
    from flowkiln.tasks.core.function import FunctionTask

    match x:
        case Task():
            return x
        case EdgeAnnotation():
            return as_task(x.value, flow)
        case list():
            return collections.List().bind(*x, flow=flow)
        case tuple():
            return collections.Tuple().bind(*x, flow=flow)
        case set():
            return collections.Set().bind(*sorted(x, key=_stable_order), flow=flow)
        case dict():
            items = collections.Dict()
            flow = active_flow(flow, "Could not infer an active Flow context for a dict; use `with Flow(...)`.")
            flow.set_dependencies(items, keyword_tasks=x, validate=True)
            return items
        case _ if callable(x):
            return FunctionTask(fn=x)
        case _:
            return Constant(value=x)


def _stable_order(element: Any) -> tuple[str, str]:
    # A set has no order that two processes share, but tasks need one: their local ids count those before them.
    return type(element).__qualname__, element.name if isinstance(element, Task) else repr(element)


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
        ValueError: the signature cannot be that of a task.
    """
    from flowkiln.tasks.core.function import FunctionTask

    if fn is None:
        return lambda function: FunctionTask(fn=function, **task_args)
    return FunctionTask(fn=fn, **task_args)


@contextmanager
def tags(*words: str) -> Iterator[None]:
    """Tag every task that is made, copied or bound inside the block; nested blocks add up."""
    with context(tags={*(context.get("tags") or ()), *words}):
        yield


def pause_task(message: str | None = None) -> None:
    """Pause the task run whose body calls this; after somebody resumed it, do nothing.

    Raises:
        signals.PAUSE: the task run was not resumed.
    """
    from flowkiln.states.signals import PAUSE

    if not context.get("resume"):
        raise PAUSE(message or "The task paused itself and waits to be resumed.")


def defaults_from_attrs(*names: str) -> Callable[[F], F]:
    """Let arguments of `run` that were not passed take the values of the attributes of the same names.

    An explicit None counts as passed. The other arguments are untouched.

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
