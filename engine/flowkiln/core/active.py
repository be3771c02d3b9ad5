"""The flow that is being built."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Protocol

from flowkiln.common.context import context


class Building(Protocol):
    """The part of `Flow` that tasks use."""

    def has_edges(self, task: Any, /) -> bool:
        """Return whether a task is in the flow and has edges there."""

    def set_dependencies(
        self,
        task: Any,
        upstream_tasks: Iterable[Any] | None = None,
        downstream_tasks: Iterable[Any] | None = None,
        keyword_tasks: Mapping[str, Any] | None = None,
        mapped: bool = False,
        validate: bool | None = None,
    ) -> None:
        """Add edges from and to a task."""

    def _bind_operator(self, name: str, *operands: Any) -> Any:
        """Add the task of a Python operator, and return it."""

    def _add_order(self, upstream: Any, downstream: Any) -> Any:
        """Add an edge from `upstream` to `downstream`, and return the downstream task."""


def active_flow(flow: Building | None, complaint: str) -> Building:
    """Return `flow`, else the flow of the enclosing `with` block.

    Raises:
        ValueError: neither exists; the message is `complaint`.
    """
    found: Building | None = context.get("flow") if flow is None else flow
    if found is None:
        raise ValueError(complaint)
    return found
