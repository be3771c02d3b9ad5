"""Graph algorithms: neighbours, topological order and cycles. Pure; independent of flows.

The order is maintained as edges are added, after Pearce and Kelly, "A dynamic topological sort algorithm for directed
acyclic graphs" (2006): an edge that agrees with the order costs nothing; any other edge moves only the tasks between
its ends.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from heapq import heapify, heappop, heappush
from typing import Any

from flowkiln.core.edge import Edge

Node = Any
Neighbours = Callable[[Node], Iterable[Node]]


def topological_sort(nodes: Iterable[Node], downstream: Neighbours) -> tuple[Node, ...]:
    """Order nodes so that each comes before its downstream nodes; ties in the given order.

    Raises:
        ValueError: there is a cycle; the message names it.
    """
    given = list(nodes)
    position = {node: i for i, node in enumerate(given)}
    waits_for = dict.fromkeys(given, 0)
    for node in given:
        for below in downstream(node):
            waits_for[below] += 1
    ready = [position[node] for node, count in waits_for.items() if count == 0]
    heapify(ready)
    ordered = []
    while ready:
        node = given[heappop(ready)]
        ordered.append(node)
        for below in downstream(node):
            waits_for[below] -= 1
            if waits_for[below] == 0:
                heappush(ready, position[below])
    if len(ordered) < len(given):
        raise ValueError(f"Cycle found: {_describe_cycle(set(given).difference(ordered), given, downstream)}.")
    return tuple(ordered)


def reachable(roots: Iterable[Node], neighbours: Neighbours) -> set[Node]:
    """Return the roots and every node reachable from them."""
    found = set(roots)
    frontier = list(found)
    while frontier:
        for node in neighbours(frontier.pop()):
            if node not in found:
                found.add(node)
                frontier.append(node)
    return found


def _describe_cycle(stuck: set[Node], given: Sequence[Node], downstream: Neighbours) -> str:
    # A remaining node is on a cycle or downstream of one: each has a remaining node upstream, so walking up must
    # repeat.
    above = {below: node for node in reversed(given) if node in stuck for below in downstream(node)}
    node = next(node for node in given if node in stuck)
    path: dict[Node, None] = {}
    while node not in path:
        path[node] = None
        node = above[node]
    walked = list(path)
    cycle = [*walked[walked.index(node) :], node]
    return " → ".join(str(getattr(each, "name", each)) for each in reversed(cycle))


class Graph:
    """Tasks and edges, indexed.

    Edges that refer to unknown tasks are in `dangling` only. `clashing` are edges whose argument an earlier edge sets
    already.
    """

    def __init__(self, tasks: Iterable[Node], edges: Iterable[Edge]) -> None:
        self.above: dict[Node, dict[Edge, None]] = {}
        self.below: dict[Node, dict[Edge, None]] = {}
        self.keys: dict[Node, set[str]] = {}
        self.slugs: dict[str, Node] = {}
        self.dangling: list[Edge] = []
        self.clashing: list[Edge] = []
        self._n_edges = 0
        self._sorted: tuple[Node, ...] | None = None
        # Made when first needed. Edges in `_unplaced` were added unchecked and are not part of the order yet.
        self._order: _Order | None = None
        self._unplaced: dict[Edge, None] = {}
        for task in tasks:
            self.add_task(task)
        for edge in edges:
            self.add_edge(edge)

    def add_task(self, task: Node) -> None:
        """Add a task without edges."""
        self.above[task] = {}
        self.below[task] = {}
        self.keys[task] = set()
        if getattr(task, "slug", None):
            self.slugs.setdefault(task.slug, task)
        if self._order is not None:
            self._order.append(task)
        self._sorted = None

    def add_edge(self, edge: Edge, *, placed: bool = False) -> None:
        """Add an edge without a check for cycles; `placed` says that `check_new_edge` has just accepted it."""
        if edge.upstream_task not in self.above or edge.downstream_task not in self.above:
            self.dangling.append(edge)
            return
        self.above[edge.downstream_task][edge] = None
        self.below[edge.upstream_task][edge] = None
        if edge.key is not None:
            keys = self.keys[edge.downstream_task]
            if edge.key in keys:
                self.clashing.append(edge)
            keys.add(edge.key)
        self._n_edges += 1
        if self._order is not None and not placed:
            self._unplaced[edge] = None
        self._sorted = None

    def tasks_above(self, task: Node) -> Iterable[Node]:
        """Return the upstream ends of the task's edges; a task with two edges occurs twice."""
        return [edge.upstream_task for edge in self.above[task]]

    def tasks_below(self, task: Node) -> Iterable[Node]:
        """Return the downstream ends of the task's edges; a task with two edges occurs twice."""
        return [edge.downstream_task for edge in self.below[task]]

    def sort(self) -> tuple[Node, ...]:
        """Return all tasks in topological order; ties in insertion order.

        Raises:
            ValueError: there is a cycle.
        """
        if self._sorted is None:
            self._sorted = topological_sort(self.above, self.tasks_below)
        return self._sorted

    def check_new_edge(self, upstream: Node, downstream: Node) -> None:
        """Check that an edge between two tasks of the graph would not close a cycle.

        Raises:
            ValueError: it would, or there is a cycle already.
        """
        order = self._order
        if order is None or len(self._unplaced) * 8 > len(self.above) + self._n_edges:
            # With this many new edges a full sort is cheaper; its cost is proportional to the edges since the last one.
            order = self._order = _Order(self.sort(), self._placed_above, self._placed_below)
            self._unplaced.clear()
        for edge in list(self._unplaced):
            order.place(edge.upstream_task, edge.downstream_task)
            del self._unplaced[edge]
        order.place(upstream, downstream)

    def _placed_above(self, task: Node) -> list[Node]:
        return [edge.upstream_task for edge in self.above[task] if edge not in self._unplaced]

    def _placed_below(self, task: Node) -> list[Node]:
        return [edge.downstream_task for edge in self.below[task] if edge not in self._unplaced]


class _Order:
    """A topological order that is maintained as edges are added. Positions are unique but not dense."""

    def __init__(self, ordered: Iterable[Node], above: Neighbours, below: Neighbours) -> None:
        self._position = {node: i for i, node in enumerate(ordered)}
        self._first = 0
        self._last = len(self._position)
        self._above = above
        self._below = below

    def append(self, node: Node) -> None:
        self._last += 1
        self._position[node] = self._last

    def place(self, upstream: Node, downstream: Node) -> None:
        """Move `upstream` before `downstream`; raise ValueError if it is downstream of it."""
        position = self._position
        low, high = position[downstream], position[upstream]
        if high < low:
            return
        if upstream is not downstream and not self._below(downstream):
            self.append(downstream)
            return
        if upstream is not downstream and not self._above(upstream):
            self._first -= 1
            position[upstream] = self._first
            return
        after = _within(downstream, self._below, lambda node: position[node] <= high)
        if upstream in after:
            raise ValueError(
                f"Cycle found: {getattr(upstream, 'name', upstream)} is downstream of "
                f"{getattr(downstream, 'name', downstream)}, so it cannot be upstream of it too."
            )
        before = _within(upstream, self._above, lambda node: position[node] >= low)
        moved = [*sorted(before, key=position.__getitem__), *sorted(after, key=position.__getitem__)]
        for node, place in zip(moved, sorted(position[node] for node in moved), strict=True):
            position[node] = place


def _within(root: Node, neighbours: Neighbours, admitted: Callable[[Node], bool]) -> set[Node]:
    return reachable([root], lambda node: filter(admitted, neighbours(node)))
