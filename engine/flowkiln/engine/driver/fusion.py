"""Group task runs into units.

Chains of task runs, small mapped children, and tiny tasks that are ready at the same time cost less in one unit than in
a unit each.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from flowkiln.engine.driver.task_runs import TaskRun
from flowkiln.engine.driver.upstreams import UpstreamView
from flowkiln.states.records import NOT_MAPPED


@dataclass(frozen=True, slots=True)
class UnitPolicy:
    """How large units may be.

    `threads` is how many units can run at the same time. Without `fuse` every plain task run is a unit by itself, and
    every child of a map too unless `fuse_children`. `chain`, `largest` and `largest_batch` are the most members of a
    chain, chains of children and plain task runs in one unit. So many children, or more, that many task runs use whole
    are gathered once (`gather`).
    """

    fuse: bool = False
    fuse_children: bool = False
    threads: int = 1
    chain: int = 100
    largest: int = 50
    largest_batch: int = 250
    waves: int = 8
    gather: int = 32

    def children_per_unit(self, count: int) -> int:
        """Return how many of `count` mapped children share a unit, so every thread gets several units."""
        return max(1, min(self.largest, count // (self.threads * self.waves)))


def group(
    batch: Sequence[TaskRun],
    policy: UnitPolicy,
    upstreams: UpstreamView,
    batch_size: Callable[[int], int],
) -> list[list[TaskRun]]:
    """Split a batch, which is in topological order, into the members of units.

    `batch_size` returns how many of a number of plain chains share a unit.
    """
    if policy.fuse:
        return _batch_chains(_chains(batch, policy, upstreams), policy, batch_size)
    if not policy.fuse_children:
        return [[run] for run in batch]
    units = [[run] for run in batch if run.index == NOT_MAPPED]
    children = [run for run in batch if run.index != NOT_MAPPED]
    return [*units, *_batch_chains(_chains(children, policy, upstreams), policy, batch_size)]


def _chains(batch: Sequence[TaskRun], policy: UnitPolicy, upstreams: UpstreamView) -> list[list[TaskRun]]:
    chains: list[list[TaskRun]] = []
    ending_in: dict[int, list[TaskRun]] = {}
    for run in batch:
        chain = None
        before = None if run.alone else upstreams.sole_unfinished(run)
        if before is not None and not before.alone:
            chain = ending_in.pop(id(before), None)
        if chain is not None and len(chain) < policy.chain:
            chain.append(run)
        else:
            chain = [run]
            chains.append(chain)
        ending_in[id(run)] = chain
    return chains


def _batch_chains(
    chains: list[list[TaskRun]], policy: UnitPolicy, batch_size: Callable[[int], int]
) -> list[list[TaskRun]]:
    """Combine plain chains, and chains of mapped children of the same tasks."""
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
