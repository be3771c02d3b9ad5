"""An edge: one task depends on another, and may take its result as an argument."""

from __future__ import annotations

from dataclasses import dataclass
from keyword import iskeyword
from typing import Any


@dataclass(frozen=True, slots=True, repr=False)
class Edge:
    """`downstream_task` runs after `upstream_task`.

    Args:
        upstream_task: the task to wait for. Neither end is type-checked.
        downstream_task: the task that waits.
        key: the argument of the downstream task's `run` that gets the upstream result; None for order only.
        mapped: whether the downstream task runs once per element of the upstream result.
        flattened: whether one level of nesting is removed from the upstream result first.

    Raises:
        ValueError: `key` is not a Python identifier.
    """

    upstream_task: Any
    downstream_task: Any
    key: str | None = None
    mapped: bool = False
    flattened: bool = False

    def __post_init__(self) -> None:
        key: Any = self.key
        if key is not None and not (isinstance(key, str) and key.isidentifier() and not iskeyword(key)):
            raise ValueError(f"Edge key {key!r} is not valid: it must be the name of an argument.")

    @property
    def tasks(self) -> set[Any]:
        """Both ends."""
        return {self.upstream_task, self.downstream_task}

    def __repr__(self) -> str:
        key = f"(key={self.key})" if self.key else ""
        ends = f"{_name(self.upstream_task)} to {_name(self.downstream_task)}"
        return f"<Edge {key}: {ends}>" if key else f"<Edge: {ends}>"


def _name(end: Any) -> str:
    return str(getattr(end, "name", end))
