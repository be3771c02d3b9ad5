"""The results that executors retain, and when they can be released."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain

from flowkiln.engine.driver.graph import RunGraph
from flowkiln.engine.driver.phases import Phase
from flowkiln.engine.driver.task_runs import NodeRuns, TaskRun
from flowkiln.engine.driver.units import StateRef, UnitKey
from flowkiln.states.records import NOT_MAPPED

ALL_OVER = -1
"""In place of an unfinished downstream node: there is none, which each of very many children asks."""


class RetainedResults:
    """The results that executors retain for this run; the caller wants those of the nodes in `kept`.

    A task run is consumed when it and every task run that uses its result are done. A child that is mapped over one to
    one is used by the downstream child with the same index. The results of a unit can be released when all its members
    are consumed and no unit in flight uses them.
    """

    def __init__(self, graph: RunGraph, runs: Sequence[NodeRuns], kept: frozenset[int]) -> None:
        self._graph, self._runs, self._kept = graph, runs, kept
        self._keeps_all = len(kept) == len(graph.nodes)
        self._members: dict[UnitKey, Sequence[TaskRun]] = {}
        self._needed: dict[UnitKey, int] = {}
        self._users: Counter[UnitKey] = Counter()
        self._upstream = [tuple(dict.fromkeys(edge.upstream for edge in node.upstream)) for node in graph.nodes]
        self._twins = {(number, one) for number, users in enumerate(graph.one_to_one) for one in users}
        # By node, the downstream node that was unfinished at the last check and may use all of its results; ALL_OVER.
        self._not_over = [0] * len(graph.nodes)

    def note(self, key: UnitKey, members: Sequence[TaskRun], needs: Iterable[UnitKey]) -> None:
        """Add a submitted unit: it needs the results of other units, and will retain the states of these task runs."""
        if members:
            self._members[key], self._needed[key] = members, len(members)
        if not self._keeps_all:
            self._users.update(needs)
            for run in members:
                run.keys = (*run.keys, key)

    def settle(self, key: UnitKey, needs: Iterable[UnitKey]) -> list[UnitKey]:
        """Update a unit that ended, perhaps without some members; return the units to release."""
        if self._keeps_all:
            return []
        for run in self._members.get(key, ()):
            if not (isinstance(run.source, StateRef) and run.source.key == key) and key in run.keys:
                run.keys = tuple(one for one in run.keys if one != key)
                self._needed[key] -= not run.consumed
        self._users.subtract(needs)
        return self._free((key, *needs))

    def forget(self, key: UnitKey) -> Sequence[TaskRun]:
        """Remove a unit whose results are lost; return its task runs."""
        self._needed.pop(key, None)
        return self._members.pop(key, ())

    def has(self, key: UnitKey) -> bool:
        """Return whether the results of a unit are retained."""
        return key in self._members

    def is_released(self, run: TaskRun) -> bool:
        """Return whether the result of a task run was released or lost."""
        return isinstance(run.source, StateRef) and not self.has(run.source.key)

    def revive(self, run: TaskRun) -> None:
        """Record that a task run's result is needed again."""
        if run.consumed:
            run.consumed = False
            for key in run.keys:
                if key in self._needed:
                    self._needed[key] += 1

    def after(self, run: TaskRun) -> list[UnitKey]:
        """Remove and return the units that are no longer needed now that a task run is done."""
        if self._keeps_all:
            return []
        candidates = [run]
        if run.index != NOT_MAPPED:
            for upstream in self._upstream[run.node]:
                twins = self._runs[upstream].children
                if (upstream, run.node) in self._twins and twins is not None and run.index < len(twins):
                    candidates.append(twins[run.index])
        return [*self._consume(candidates), *self.after_all(run.node)]

    def after_all(self, number: int) -> list[UnitKey]:
        """Remove and return the units that are no longer needed now that a node is finished, if it is."""
        runs = self._runs[number]
        if self._keeps_all or runs.unfinished:
            return []
        candidates: list[TaskRun] = []
        for upstream in self._upstream[number]:
            if self.is_any_user_not_over(upstream):
                continue
            above = self._runs[upstream]
            are_twins = (upstream, number) in self._twins and above.children is not None and runs.children is not None
            candidates.extend(above.all()[len(runs.all()) :] if are_twins else above.all())
        return self._consume(candidates)

    def _consume(self, candidates: Iterable[TaskRun]) -> list[UnitKey]:
        touched: list[UnitKey] = []
        for run in candidates:
            if not run.consumed and self._is_consumed(run):
                run.consumed = True
                for key in run.keys:
                    if key in self._needed:
                        self._needed[key] -= 1
                        touched.append(key)
        return self._free(touched)

    def _free(self, keys: Iterable[UnitKey]) -> list[UnitKey]:
        free = [key for key in dict.fromkeys(keys) if self._needed.get(key) == 0 and not self._users[key]]
        for key in free:
            del self._members[key], self._needed[key]
            self._users.pop(key, None)
        return free

    def _is_consumed(self, run: TaskRun) -> bool:
        if run.node in self._kept or run.phase is not Phase.DONE:
            return False
        if self.is_any_user_not_over(run.node):
            return False
        for number in self._graph.one_to_one[run.node]:
            children = self._runs[number].children
            if run.index != NOT_MAPPED and children is not None:
                if run.index < len(children) and children[run.index].phase is not Phase.DONE:
                    return False
            elif not self.is_over(number):
                return False
        return True

    def problems(self, users: Mapping[UnitKey, int]) -> Iterator[str]:
        """Yield the counters that are wrong. `users` is the number of units in flight that need each unit."""
        if self._keeps_all:
            return
        for key, members in self._members.items():
            needed = sum(key in run.keys and not run.consumed for run in members)
            if self._needed[key] != needed:
                yield f"{needed} task runs keep {key}, but {self._needed[key]} are counted."
            if self._users[key] != users.get(key, 0):
                yield f"{users.get(key, 0)} units use {key}, but {self._users[key]} are counted."
        for number, one in enumerate(self._not_over):
            if one == ALL_OVER and not all(map(self.is_over, self._graph.whole[number])):
                yield f"All tasks downstream of {self._graph.nodes[number].local_id} are said to be over, but are not."

    def is_any_user_not_over(self, number: int) -> bool:
        """Return whether a node that may use all results of this one is unfinished."""
        users = self._graph.whole[number]
        if not users:
            return False
        start = self._not_over[number]
        if start == ALL_OVER:
            return False
        if self._runs[users[start]].unfinished:
            return True
        for place in chain(range(start, len(users)), range(start)):
            if not self.is_over(users[place]):
                self._not_over[number] = place
                return True
        self._not_over[number] = ALL_OVER
        return False

    def reopened(self, number: int) -> None:
        """Record that a node that was finished is not finished any more."""
        for upstream in self._upstream[number]:
            if self._not_over[upstream] == ALL_OVER:
                self._not_over[upstream] = 0

    def is_over(self, number: int) -> bool:
        """Return whether all task runs of a node are done."""
        return not self._runs[number].unfinished
