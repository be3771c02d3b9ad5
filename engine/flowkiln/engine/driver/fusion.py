"""Which task runs travel together as one unit.

A chain of task runs in which each one waits only for the one before it, small mapped children, and tiny tasks that are
ready at the same time cost less together than each by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from flowkiln.engine.driver.graph import InEdge, Node
from flowkiln.engine.driver.task_runs import NodeRuns, Phase, TaskRun
from flowkiln.states.records import NOT_MAPPED


@dataclass(frozen=True, slots=True)
class UnitPolicy:
    """How large units may be.

    `threads` is how many units can run at the same time; with `fuse` False every task run is a unit by itself.
    """

    fuse: bool = False
    threads: int = 1
    chain: int = 100
    largest: int = 50
    waves: int = 8

    def children_per_unit(self, count: int) -> int:
        """How many of `count` mapped children go into one unit, so that every thread gets several units."""
        return max(1, min(self.largest, count // (self.threads * self.waves)))


def group(
    batch: Sequence[TaskRun],
    policy: UnitPolicy,
    nodes: Sequence[Node],
    runs: Sequence[NodeRuns],
    batch_size: Callable[[int], int],
) -> list[list[TaskRun]]:
    """Split a batch, which is in topological order, into the members of units.

    `batch_size` says how many plain chains go into one unit if there are so many.
    """
    if not policy.fuse:
        return [[run] for run in batch]
    chains = _chains(batch, policy, nodes, runs)
    return _batch_chains(chains, policy, batch_size)


def _chains(
    batch: Sequence[TaskRun], policy: UnitPolicy, nodes: Sequence[Node], runs: Sequence[NodeRuns]
) -> list[list[TaskRun]]:
    chains: list[list[TaskRun]] = []
    ending_in: dict[int, list[TaskRun]] = {}
    for run in batch:
        chain = None
        before = None if run.alone else sole_unfinished_upstream(run, nodes, runs)
        if before is not None and not before.alone:
            chain = ending_in.pop(id(before), None)
        if chain is not None and len(chain) < policy.chain:
            chain.append(run)
        else:
            chain = [run]
            chains.append(chain)
        ending_in[id(run)] = chain
    return chains


def sole_unfinished_upstream(run: TaskRun, nodes: Sequence[Node], runs: Sequence[NodeRuns]) -> TaskRun | None:
    """Give the one unfinished task run upstream, if there is just one and nothing else waits for it."""
    found: TaskRun | None = None
    for edge in nodes[run.node].upstream:
        upstream = _unfinished(edge, run, runs)
        if upstream is None:
            continue
        if isinstance(upstream, list) or (found is not None and found is not upstream):
            return None
        found = upstream
    if found is None or nodes[found.node].downstream != (run.node,):
        return None
    return found


def _unfinished(edge: InEdge, run: TaskRun, runs: Sequence[NodeRuns]) -> TaskRun | list[TaskRun] | None:
    upstream = runs[edge.upstream]
    if not upstream.unfinished:
        return None
    children = upstream.expanded
    if children is None:
        # A child must not travel with what all its siblings wait for as well.
        if run.index != NOT_MAPPED:
            return [upstream.parent]
        return upstream.parent
    if edge.is_one_to_one and run.index != NOT_MAPPED:
        twin = children[run.index]
        return None if twin.phase is Phase.DONE else twin
    return children


def _batch_chains(
    chains: list[list[TaskRun]], policy: UnitPolicy, batch_size: Callable[[int], int]
) -> list[list[TaskRun]]:
    """Put plain chains together, and chains of mapped children of the same tasks."""
    plain: list[list[TaskRun]] = []
    alike: dict[tuple[int, ...], list[list[TaskRun]]] = {}
    units: list[list[TaskRun]] = []
    for chain in chains:
        if any(run.alone for run in chain):
            units.append(chain)
        elif chain[0].index == NOT_MAPPED:
            plain.append(chain)
        else:
            alike.setdefault(tuple(run.node for run in chain), []).append(chain)
    units.extend(_in_parts(plain, batch_size(len(plain))))
    for same in alike.values():
        units.extend(_in_parts(same, policy.children_per_unit(len(same))))
    return units


def _in_parts(chains: list[list[TaskRun]], size: int) -> Iterator[list[TaskRun]]:
    for start in range(0, len(chains), size):
        yield [run for chain in chains[start : start + size] for run in chain]
