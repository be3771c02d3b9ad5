"""What units left behind: which of it nobody needs any more, and whose it was."""

from __future__ import annotations

from collections.abc import Sequence

from flowkiln.engine.driver.graph import Node
from flowkiln.engine.driver.task_runs import NodeRuns, Phase, TaskRun
from flowkiln.engine.driver.units import Held, UnitKey


class Leftovers:
    """The results that executors hold for this run; those of the nodes in `kept` are wanted in the end."""

    def __init__(self, nodes: Sequence[Node], runs: Sequence[NodeRuns], kept: frozenset[int]) -> None:
        self._nodes, self._runs, self._kept = nodes, runs, kept
        self._members: dict[UnitKey, list[TaskRun]] = {}

    def note(self, key: UnitKey, members: list[TaskRun]) -> None:
        """Remember that a unit leaves behind the states of these task runs."""
        self._members[key] = members

    def forget(self, key: UnitKey) -> Sequence[TaskRun]:
        """Strike out a unit whose results are gone; gives the task runs that they were of."""
        return self._members.pop(key, ())

    def has(self, key: UnitKey) -> bool:
        """Whether what a unit left behind is still there."""
        return key in self._members

    def is_released(self, run: TaskRun) -> bool:
        """Whether the result of a task run was given up or is gone."""
        return isinstance(run.source, Held) and not self.has(run.source.key)

    def freed_by(self, number: int) -> tuple[UnitKey, ...]:
        """Strike out, and give, what only finished tasks used, now that a node is finished."""
        free: list[UnitKey] = []
        candidates = {edge.upstream for edge in self._nodes[number].upstream} | {number}
        for candidate in sorted(candidates - self._kept):
            runs = self._runs[candidate]
            if runs.spent or runs.unfinished or not all(map(self._is_over, self._nodes[candidate].downstream)):
                continue
            runs.spent = True
            for key in runs.keys:
                if self.has(key) and all(self._runs[run.node].spent for run in self._members[key]):
                    del self._members[key]
                    free.append(key)
            runs.keys.clear()
        return tuple(free)

    def _is_over(self, number: int) -> bool:
        runs = self._runs[number]
        return not runs.unfinished and (runs.children is not None or runs.parent.phase is Phase.DONE)
