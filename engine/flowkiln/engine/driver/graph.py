"""The shape of a flow as the driver sees it: numbers instead of tasks, in topological order."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class InEdge:
    """An edge into a node, from the node number `upstream`."""

    upstream: int
    key: str | None = None
    mapped: bool = False
    flattened: bool = False

    @property
    def is_one_to_one(self) -> bool:
        """Return whether each child uses the upstream child or element with its own index."""
        return self.mapped and not self.flattened


@dataclass(frozen=True, slots=True)
class Node:
    """One task. Its number is its position in the topological order.

    `mapped_over` and `flattened_over`: some downstream task maps over this one's elements (of its elements).
    `visited` is False for a task that this run does not visit; `is_start` skips the upstream checks. `level` is 0
    without upstream, else one more than the deepest upstream level.
    """

    local_id: str
    upstream: tuple[InEdge, ...] = ()
    downstream: tuple[int, ...] = ()
    mapped_over: bool = False
    flattened_over: bool = False
    visited: bool = True
    is_start: bool = False
    level: int = 0
    is_mapped: bool = field(init=False)
    """Whether the task has children, one for each element of what it maps over."""

    def __post_init__(self) -> None:
        # Cached, because every step of every upstream task reads it.
        object.__setattr__(self, "is_mapped", any(edge.mapped for edge in self.upstream))


@dataclass(frozen=True, slots=True)
class RunGraph:
    """All nodes of a run.

    By node, its downstream nodes are either `one_to_one` (their children use of it what has their own index, and
    nothing else) or `whole` (some task run may need all its children).
    """

    nodes: tuple[Node, ...]
    one_to_one: tuple[tuple[int, ...], ...] = field(init=False)
    whole: tuple[tuple[int, ...], ...] = field(init=False)

    def __post_init__(self) -> None:
        one_to_one: list[list[int]] = [[] for _ in self.nodes]
        whole: list[list[int]] = [[] for _ in self.nodes]
        for number, node in enumerate(self.nodes):
            needed_whole = {edge.upstream for edge in node.upstream if not edge.is_one_to_one}
            for upstream in dict.fromkeys(edge.upstream for edge in node.upstream):
                (whole if upstream in needed_whole else one_to_one)[upstream].append(number)
        object.__setattr__(self, "one_to_one", tuple(map(tuple, one_to_one)))
        object.__setattr__(self, "whole", tuple(map(tuple, whole)))
