"""Bind tasks to arguments: annotations of arguments, and the conversion of values into tasks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from flowkiln.core.active import Building, active_flow
from flowkiln.core.operators import FitsAnywhere
from flowkiln.core.task import Task


class EdgeAnnotation(FitsAnywhere):
    """An annotation of an argument that decides how its edge is made.

    Like the value inside, it may be used more than once: a value that is not a task becomes a new task at each use.
    """

    def __init__(self, value: Any) -> None:
        self.value = value

    @property
    def task(self) -> Task:
        """Return the value inside as a task, converted in the active flow if necessary."""
        return as_task(self.value)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.value!r})"


class unmapped(EdgeAnnotation):  # noqa: N801 (used like a function)
    """In a mapped call, pass this argument unchanged to every child."""


class mapped(EdgeAnnotation):  # noqa: N801 (used like a function)
    """In a plain call, run the task once per element of this argument."""


class flatten(EdgeAnnotation):  # noqa: N801 (used like a function)
    """Remove one level of nesting from this argument before it is mapped over or passed on."""


@dataclass(frozen=True, slots=True)
class EdgeOptions:
    """The options of the edge of one argument."""

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


def as_task(x: Any, flow: Building | None = None) -> Task:
    """Convert any value into a task: collections and functions into tasks of their kind, other values into constants.

    Args:
        x: a task (returned unchanged), an annotated one, a list, tuple, set or dict, a callable, or any value.
        flow: the flow in which the elements of a collection are bound; None means the active flow.

    Raises:
        ValueError: `x` is a collection and there is no flow, or a function that cannot be a task.
    """
    # A program that imports flowkiln pays for these when it builds a flow.
    from flowkiln.core.values import collections
    from flowkiln.core.values.constants import Constant
    from flowkiln.core.values.function import FunctionTask

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
    # The order of a set differs between processes, but tasks need a stable one: local ids count earlier tasks.
    return type(element).__qualname__, element.name if isinstance(element, Task) else repr(element)


def operator_task(name: str) -> Task:
    """Make the task of a Python operator from the name of its class."""
    from flowkiln.core.values import operators

    made: Task = getattr(operators, name)()
    return made
