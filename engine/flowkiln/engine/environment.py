"""The environment of a run for the processes that execute its units: sent once, not with each unit."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flowkiln.core.edge import Edge
from flowkiln.core.task import Task
from flowkiln.engine.runner import StateHandler
from flowkiln.engine.task_runner import TaskRunner


@dataclass(frozen=True, slots=True)
class TaskEntry:
    """One node: its task, its edges in the driver's order, and its context."""

    task: Task
    local_id: str
    edges: tuple[Edge, ...]
    context: Mapping[str, Any]
    count_elements: bool
    count_inner: bool
    is_start: bool


@dataclass(frozen=True, slots=True)
class RunEnvironment:
    """The tasks of a run by node number, and the arguments of its TaskRunners."""

    run_id: str
    entries: tuple[TaskEntry, ...]
    context: Mapping[str, Any]
    task_runner_cls: type[TaskRunner]
    state_handlers: Sequence[StateHandler] | None
    result_handler: Any = None
    timeout_handler: Callable[..., Any] | None = None

    def __reduce__(self) -> tuple[Callable[..., RunEnvironment], tuple[Any, ...]]:
        # Edges outnumber all else. As objects they would take most of the time, so they travel as numbers.
        numbers = {id(entry.task): number for number, entry in enumerate(self.entries)}
        rows = tuple(
            (
                entry.task,
                entry.local_id,
                tuple(_packed(edge, entry.task, numbers) for edge in entry.edges),
                entry.context,
                entry.count_elements,
                entry.count_inner,
                entry.is_start,
            )
            for entry in self.entries
        )
        rest = (self.context, self.task_runner_cls, self.state_handlers, self.result_handler, self.timeout_handler)
        return _unpacked_environment, (self.run_id, rows, rest)

    def task_runner(self, node: int) -> TaskRunner:
        """Make the runner for a node."""
        entry = self.entries[node]
        runner = self.task_runner_cls(
            task=entry.task, state_handlers=self.state_handlers, result_handler=self.result_handler
        )
        runner.is_start_task = entry.is_start
        runner.in_flow_run = True
        runner.timeout_handler = self.timeout_handler
        return runner


PackedEdge = tuple[int, str | None, bool, bool] | Edge
"""An edge as it travels: its upstream task's number; itself if it is of another class, or leads out of the graph."""


def _packed(edge: Edge, task: Task, numbers: Mapping[int, int]) -> PackedEdge:
    number = numbers.get(id(edge.upstream_task))
    if number is None or type(edge) is not Edge or edge.downstream_task is not task:
        return edge
    return number, edge.key, edge.mapped, edge.flattened


def _unpacked(packed: PackedEdge, task: Task, tasks: Sequence[Task]) -> Edge:
    if isinstance(packed, Edge):
        return packed
    number, key, mapped, flattened = packed
    return Edge(tasks[number], task, key, mapped, flattened)


def _unpacked_environment(run_id: str, rows: Sequence[tuple[Any, ...]], rest: tuple[Any, ...]) -> RunEnvironment:
    """Make an environment in the process that it was sent to."""
    tasks = [row[0] for row in rows]
    entries = tuple(
        TaskEntry(task, local_id, tuple(_unpacked(edge, task, tasks) for edge in edges), *others)
        for task, local_id, edges, *others in rows
    )
    return RunEnvironment(run_id, entries, *rest)
