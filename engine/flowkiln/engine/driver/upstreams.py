"""The current upstreams of task runs: read-only queries on the driver's task runs."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from itertools import accumulate, chain

from flowkiln.engine.driver.graph import InEdge, Node
from flowkiln.engine.driver.phases import Phase
from flowkiln.engine.driver.task_runs import NodeRuns, TaskRun
from flowkiln.engine.driver.units import (
    Children,
    ChildrenRef,
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
"""Phases in which downstream task runs can be submitted."""

INLINE_SOURCES = 16
"""Edges into a task up to which small results come with the unit that runs it."""

UNKNOWN = -1
UNMAPPABLE = -2
"""Results of `element_count`: not known yet; nothing to map over."""


class UpstreamView:
    """Queries about the upstreams of task runs."""

    def __init__(self, nodes: Sequence[Node], runs: Sequence[NodeRuns]) -> None:
        self._nodes, self._runs = nodes, runs
        # By node, the edge that was not ready at the last check. It is checked first, because with very many upstream
        # tasks it is usually still not ready.
        self._unsubmitted = [0] * len(nodes)
        self._unfinished = [0] * len(nodes)
        self._outside_batch = [0] * len(nodes)

    def source_of(self, run: TaskRun) -> StateSource:
        """Return the source of a task run's State."""
        return run.source if run.source is not None else InlineState(run.state)

    def are_all_submitted(self, run: TaskRun) -> bool:
        """Return whether all upstreams of a task run are done or in flight."""
        return self._find(run, self._unsubmitted, lambda edge: not self.is_submitted(edge, run)) is None

    def are_all_finished(self, run: TaskRun) -> bool:
        """Return whether all upstreams of a task run are finished."""
        return self._find(run, self._unfinished, lambda edge: self._runs[edge.upstream].unfinished > 0) is None

    def _find(self, run: TaskRun, last_found: list[int], wanted: Callable[[InEdge], bool]) -> InEdge | None:
        edges, start = self._nodes[run.node].upstream, last_found[run.node]
        for number in chain(range(start, len(edges)), range(start)):
            if wanted(edges[number]):
                last_found[run.node] = number
                return edges[number]
        return None

    def sole_unfinished(self, run: TaskRun) -> TaskRun | None:
        """Return the only unfinished upstream task run, if there is exactly one and nothing else waits for it."""
        edges, start = self._nodes[run.node].upstream, self._unfinished[run.node]
        found: TaskRun | None = None
        for number in chain(range(start, len(edges)), range(start)):
            edge = edges[number]
            upstream = self._runs[edge.upstream]
            if not upstream.unfinished:
                continue
            one = self._one_run(edge, upstream, run)
            if one is not None and one.phase is Phase.DONE:
                continue
            if one is None or (found is not None and found is not one):
                return None
            found = one
            self._unfinished[run.node] = number
        return found if found is not None and self._nodes[found.node].downstream == (run.node,) else None

    @staticmethod
    def _one_run(edge: InEdge, upstream: NodeRuns, run: TaskRun) -> TaskRun | None:
        """Return the single task run of an edge; None if there are several, or if all siblings wait for it."""
        children = upstream.expanded
        if children is None:
            return upstream.parent if run.index == NOT_MAPPED else None
        return children[run.index] if edge.is_one_to_one and run.index != NOT_MAPPED else None

    def is_submitted(self, edge: InEdge, run: TaskRun) -> bool:
        """Return whether all task runs of an edge are done or in flight."""
        upstream = self._runs[edge.upstream]
        children = upstream.expanded
        if children is None:
            return upstream.parent.phase in SUBMITTED_OR_DONE
        if upstream.parent.phase is not Phase.DONE:
            return False
        if edge.is_one_to_one and run.index != NOT_MAPPED:
            return children[run.index].phase in SUBMITTED_OR_DONE
        return not upstream.unsubmitted

    def is_any_unfinished(self, run: TaskRun) -> bool:
        """Return whether an upstream of a task run is not done."""
        return any(self._is_unfinished(edge, run) for edge in self._nodes[run.node].upstream)

    def _is_unfinished(self, edge: InEdge, run: TaskRun) -> bool:
        upstream = self._runs[edge.upstream]
        children = upstream.expanded
        if children is None:
            return upstream.parent.phase is not Phase.DONE
        if edge.is_one_to_one and run.index != NOT_MAPPED:
            return children[run.index].phase is not Phase.DONE
        return upstream.unfinished > 0

    def all_upstream_runs(self, run: TaskRun) -> Iterable[TaskRun]:
        """Yield the task runs whose results a task run uses, finished or not."""
        for edge in self._nodes[run.node].upstream:
            upstream = self._runs[edge.upstream]
            children = upstream.expanded
            if children is None:
                yield upstream.parent
            elif edge.is_one_to_one and run.index != NOT_MAPPED:
                yield children[run.index]
            else:
                yield from children

    def is_rest_in_batch(self, run: TaskRun) -> bool:
        """Whether all that is not done upstream of a task run is plain, and about to be submitted together."""
        return not run.alone and self._find(run, self._outside_batch, self._is_outside_batch) is None

    def _is_outside_batch(self, edge: InEdge) -> bool:
        upstream, one = self._runs[edge.upstream], self._runs[edge.upstream].parent
        if not upstream.unfinished:
            return False
        return upstream.children is not None or one.phase is not Phase.SUBMITTED or one.unit is not None or one.alone

    def inline_source(self, edge: InEdge, run: TaskRun) -> InlineState | None:
        """Give the state of a plain task run upstream if it is done and its result is small: it comes with the unit.

        Who needs very many states finds them where they are, for together they are not small.
        """
        upstream = self._runs[edge.upstream]
        one = upstream.parent
        if edge.mapped or upstream.children is not None or not one.inline or one.phase is not Phase.DONE:
            return None
        return InlineState(one.state) if len(self._nodes[run.node].upstream) <= INLINE_SOURCES else None

    def source(self, edge: InEdge, run: TaskRun) -> Source:
        """Return the source of the upstream state of an edge."""
        upstream = self._runs[edge.upstream]
        children = upstream.expanded
        if edge.mapped and run.index != NOT_MAPPED:
            if children is not None:
                if not edge.flattened:
                    return self.source_of(children[run.index])
                outer, inner = _place(self._element_ends(upstream), run.index)
                return Element(self.source_of(children[outer]), (inner,))
            source = self.source_of(upstream.parent)
            if not edge.flattened:
                return Element(source, (run.index,))
            ends = self._element_ends(upstream)
            return Element(source, _place(ends, run.index)) if ends and run.index < ends[-1] else source
        if children is not None:
            return self.children(edge.upstream)
        return self.source_of(upstream.parent)

    def children(self, number: int) -> Children:
        """Return the source of all children of a node."""
        return Children(tuple(map(self.source_of, self._runs[number].children or ())))

    @staticmethod
    def _element_ends(runs: NodeRuns) -> list[int]:
        """Return the cumulative element counts of the children, or of the elements of the one run."""
        if runs.element_ends is None:
            children = runs.expanded
            counts = (runs.parent.inner or ()) if children is None else (child.elements or 0 for child in children)
            runs.element_ends = list(accumulate(counts))
        return runs.element_ends

    def element_count(self, edge: InEdge) -> int:
        """Return the number of children of a mapped edge, UNKNOWN or UNMAPPABLE."""
        upstream = self._runs[edge.upstream]
        if upstream.parent.phase is not Phase.DONE:
            return UNKNOWN if self._nodes[edge.upstream].visited else UNMAPPABLE
        if (children := upstream.expanded) is not None:
            if not edge.flattened:
                return len(children)
            if upstream.unfinished:
                return UNKNOWN
            if any(child.elements is None for child in children):
                return UNMAPPABLE
            ends = self._element_ends(upstream)
            return ends[-1] if ends else 0
        if edge.flattened:
            return UNMAPPABLE if upstream.parent.inner is None else sum(upstream.parent.inner)
        return UNMAPPABLE if upstream.parent.elements is None else upstream.parent.elements


def _place(ends: list[int], index: int) -> tuple[int, int]:
    """Return the list and the position of an element by its index in the concatenated lists."""
    outer = bisect_right(ends, index)
    return outer, index - (ends[outer - 1] if outer else 0)


def keys_in(source: Source) -> Iterable[UnitKey]:
    """Return the units whose states a source needs."""
    match source:
        case StateRef(key) | ChildrenRef(key):
            return (key,)
        case Element(inner) | ResumedState(inner):
            return keys_in(inner)
        case Children(sources):
            return (key for one in sources for key in keys_in(one))
        case _:
            return ()
