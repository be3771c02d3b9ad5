"""What a task run is connected to at this moment: reads the driver's task runs, and changes nothing of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import chain

from flowkiln.engine.driver.graph import InEdge, Node
from flowkiln.engine.driver.task_runs import NodeRuns, Phase, TaskRun
from flowkiln.engine.driver.units import (
    Children,
    Element,
    InlineState,
    ResumedState,
    Source,
    StateRef,
    StateSource,
    UnitKey,
)
from flowkiln.states.records import NOT_MAPPED

SUBMITTED_OR_DONE = (Phase.SUBMITTED, Phase.DONE)
"""Phases of a task run that others can build on."""

UNKNOWN = -1
UNMAPPABLE = -2
"""Answers of `element_count`: it will be known later; there is nothing to map over."""


class UpstreamView:
    """The upstream side of every task run."""

    def __init__(self, nodes: Sequence[Node], runs: Sequence[NodeRuns]) -> None:
        self._nodes, self._runs = nodes, runs
        # By node, which of its edges was in the way when somebody asked last. It mostly still is: with each step of one
        # of very many tasks upstream it is looked at first, not after all that are in order.
        self._unsubmitted = [0] * len(nodes)
        self._unfinished = [0] * len(nodes)

    def source_of(self, run: TaskRun) -> StateSource:
        """Where the State of a task run is to be found."""
        return run.source if run.source is not None else InlineState(run.state)

    def are_all_submitted(self, run: TaskRun) -> bool:
        """Whether all that is upstream of a task run is done or under way."""
        return self._find(run, self._unsubmitted, lambda edge: not self.is_submitted(edge, run)) is None

    def are_all_finished(self, run: TaskRun) -> bool:
        """Whether nothing upstream of a task run is to come."""
        return self._find(run, self._unfinished, lambda edge: self._runs[edge.upstream].unfinished > 0) is None

    def _find(self, run: TaskRun, last_found: list[int], wanted: Callable[[InEdge], bool]) -> InEdge | None:
        edges, start = self._nodes[run.node].upstream, last_found[run.node]
        for number in chain(range(start, len(edges)), range(start)):
            if wanted(edges[number]):
                last_found[run.node] = number
                return edges[number]
        return None

    def is_submitted(self, edge: InEdge, run: TaskRun) -> bool:
        """Whether all that an edge leads to is done or under way."""
        upstream = self._runs[edge.upstream]
        children = upstream.expanded
        if children is None:
            return upstream.parent.phase in SUBMITTED_OR_DONE
        if upstream.parent.phase is not Phase.DONE:
            return False
        if edge.is_one_to_one and run.index != NOT_MAPPED:
            return children[run.index].phase in SUBMITTED_OR_DONE
        return not upstream.unsubmitted

    def upstream_runs(self, edge: InEdge, run: TaskRun) -> Iterable[TaskRun]:
        """The task runs that an edge leads to; none when all of many are finished."""
        upstream = self._runs[edge.upstream]
        children = upstream.expanded
        if children is None:
            return (upstream.parent,)
        if edge.is_one_to_one and run.index != NOT_MAPPED:
            return (children[run.index],)
        return children if upstream.unfinished else ()

    def all_upstream_runs(self, run: TaskRun) -> Iterable[TaskRun]:
        """The task runs whose results a task run uses, finished or not."""
        for edge in self._nodes[run.node].upstream:
            upstream = self._runs[edge.upstream]
            children = upstream.expanded
            if children is None:
                yield upstream.parent
            elif edge.is_one_to_one and run.index != NOT_MAPPED:
                yield children[run.index]
            else:
                yield from children

    def source(self, edge: InEdge, run: TaskRun) -> Source:
        """Where a task run finds the state that an edge brings."""
        upstream = self._runs[edge.upstream]
        children = upstream.expanded
        if edge.mapped and run.index != NOT_MAPPED:
            if children is not None:
                child, path = self._child_path(children, edge, run.index)
                source = self.source_of(child)
                return Element(source, path) if path else source
            return self._element(upstream.parent, edge, run.index)
        if children is not None:
            return Children(tuple(self.source_of(child) for child in children))
        return self.source_of(upstream.parent)

    def _child_path(self, children: list[TaskRun], edge: InEdge, index: int) -> tuple[TaskRun, tuple[int, ...]]:
        if not edge.flattened:
            return children[index], ()
        for child in children:
            if index < (child.elements or 0):
                return child, (index,)
            index -= child.elements or 0
        raise IndexError(index)

    def _element(self, upstream: TaskRun, edge: InEdge, index: int) -> Source:
        source = self.source_of(upstream)
        if not edge.flattened:
            return Element(source, (index,))
        for outer, count in enumerate(upstream.inner or ()):
            if index < count:
                return Element(source, (outer, index))
            index -= count
        return source

    def element_count(self, edge: InEdge) -> int:
        """How many children an edge that is mapped asks for; UNKNOWN or UNMAPPABLE if it cannot say."""
        upstream = self._runs[edge.upstream]
        if upstream.parent.phase is not Phase.DONE:
            return UNKNOWN if self._nodes[edge.upstream].visited else UNMAPPABLE
        if (children := upstream.expanded) is not None:
            if not edge.flattened:
                return len(children)
            if upstream.unfinished:
                return UNKNOWN
            counts = [child.elements for child in children]
            return UNMAPPABLE if any(n is None for n in counts) else sum(n or 0 for n in counts)
        if edge.flattened:
            return UNMAPPABLE if upstream.parent.inner is None else sum(upstream.parent.inner)
        return UNMAPPABLE if upstream.parent.elements is None else upstream.parent.elements


def keys_in(source: Source) -> Iterable[UnitKey]:
    """The units whose states a source needs."""
    match source:
        case StateRef(key):
            return (key,)
        case Element(inner) | ResumedState(inner):
            return keys_in(inner)
        case Children(sources):
            return (key for one in sources for key in keys_in(one))
        case _:
            return ()
