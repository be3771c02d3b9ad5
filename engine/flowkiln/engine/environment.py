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
