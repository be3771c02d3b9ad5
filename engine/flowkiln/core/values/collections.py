"""Tasks that collect the results of other tasks."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Self

from flowkiln.core.active import Building
from flowkiln.core.task import Task

_PREFIX = "arg_"


class _Sequence(Task):
    """Base class: element i, from 1, is the argument `arg_i`."""

    is_implicit = True

    def bind(
        self,
        /,
        *items: Any,
        mapped: bool = False,
        upstream_tasks: Iterable[Any] | None = None,
        flow: Building | None = None,
        **kwargs: Any,
    ) -> Self:
        """Bind the elements in order; each becomes a task."""
        numbered = {f"{_PREFIX}{i}": item for i, item in enumerate(items, start=1)}
        return super().bind(mapped=mapped, upstream_tasks=upstream_tasks, flow=flow, **numbered, **kwargs)


def _in_order(elements: dict[str, Any]) -> list[Any]:
    return [elements[key] for key in sorted(elements, key=lambda key: int(key.removeprefix(_PREFIX)))]


class List(_Sequence):
    """A list of results."""

    def run(self, /, **elements: Any) -> list[Any]:
        """Return the elements in argument order."""
        return _in_order(elements)


class Tuple(_Sequence):
    """A tuple of results."""

    def run(self, /, **elements: Any) -> tuple[Any, ...]:
        """Return the elements in argument order."""
        return tuple(_in_order(elements))


class Set(_Sequence):
    """A set of results."""

    def run(self, /, **elements: Any) -> set[Any]:
        """Return the elements as a set."""
        return set(elements.values())


class Dict(Task):
    """A dict of results; its keys are names of arguments, so they must be identifiers."""

    is_implicit = True

    def run(self, /, **items: Any) -> dict[str, Any]:
        """Return the items as a dict."""
        return items
