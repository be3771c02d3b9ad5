"""Build units from a batch of task runs: their members, keys and upstream sources."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from flowkiln.engine.driver.fusion import UnitPolicy, group
from flowkiln.engine.driver.gathering import Gathering
from flowkiln.engine.driver.graph import InEdge, Node
from flowkiln.engine.driver.task_runs import TaskRun
from flowkiln.engine.driver.units import Member, Source, StateRef, Unit, UnitKey
from flowkiln.engine.driver.upstreams import UpstreamView, keys_in


@dataclass(frozen=True, slots=True)
class Assembler:
    """Build the units of one run. `kept` are the nodes whose results the caller wants."""

    run_id: str
    nodes: Sequence[Node]
    upstreams: UpstreamView
    gathering: Gathering
    policy: UnitPolicy
    kept: frozenset[int]
    repeats: bool

    def assemble(self, batch: Sequence[TaskRun], batch_size: Callable[[int], int]) -> list[tuple[Unit, list[TaskRun]]]:
        """Split a batch, which is in topological order, into units; each with its task runs, if it is not to gather.

        Every task run's visit is counted, and its source from now on is what its unit will leave behind.
        """
        groups = group(batch, self.policy, self.upstreams, batch_size)
        keys = [self._name_unit(members) for members in groups]
        units = [(self._build_unit(key, members), members) for key, members in zip(keys, groups, strict=True)]
        return [*((unit, []) for unit in self.gathering.take_new()), *units]

    def _name_unit(self, members: list[TaskRun]) -> UnitKey:
        for run in members:
            run.visit += 1
        first = members[0]
        prefix = f"{self.nodes[first.node].local_id.replace('-', '_')}-{self.run_id}"
        key = (prefix, first.index, first.visit)
        for position, run in enumerate(members):
            run.unit, run.source = key, StateRef(key, position)
        return key

    def _build_unit(self, key: UnitKey, runs: list[TaskRun]) -> Unit:
        members, needs = [], {}
        for run, following in zip(runs, (*runs[1:], None), strict=True):
            upstream = tuple(self._source(edge, run) for edge in self.nodes[run.node].upstream)
            run.optimistic = self.upstreams.is_any_unfinished(run)
            members.append(
                Member(
                    run.node,
                    run.index,
                    run.visit,
                    run.start_from,
                    upstream,
                    only_for_next=self._only_for_next(run, following),
                )
            )
            for source in (*upstream, *([run.start_from] if run.start_from else [])):
                needs.update(dict.fromkeys(keys_in(source)))
        needs.pop(key, None)
        alone = any(run.alone for run in runs)
        return Unit(
            key,
            tuple(members),
            tuple(needs),
            announce_first=alone,
            repeats=self.repeats,
            level=self.nodes[runs[0].node].level,
        )

    def _source(self, edge: InEdge, run: TaskRun) -> Source:
        if not edge.mapped and (gathered := self.gathering.whole(edge.upstream)) is not None:
            return gathered
        return self.upstreams.inline_source(edge, run) or self.upstreams.source(edge, run)

    def _only_for_next(self, run: TaskRun, following: TaskRun | None) -> bool:
        return (
            run.node not in self.kept
            and following is not None
            and following.index == run.index
            and self.nodes[run.node].downstream == (following.node,)
        )
