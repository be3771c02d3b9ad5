"""A `with` block whose tasks run only for one value of a result."""

from __future__ import annotations

from contextlib import AbstractContextManager
from types import TracebackType
from typing import Any

from flowkiln.common.context import context
from flowkiln.core.binding import as_task, edge_options
from flowkiln.core.flow import Flow
from flowkiln.core.task import Parameter, Task
from flowkiln.tasks.control_flow.conditional import CompareValue


class case:  # noqa: N801 (used like a statement)
    """`with case(task, value):` tasks added to the flow inside the block run only if the result of `task` equals
    `value`.

    A `CompareValue` task is added upstream of the tasks that have no upstream task inside the block. `merge` joins
    branches.

    Raises:
        TypeError: `value` is a task.
        ValueError: tasks of two flows were added in the block.
    """

    def __init__(self, task: Any, value: Any) -> None:
        if isinstance(value, Task):
            raise TypeError(
                f"The value of a case is compared while the flow is built, so it cannot be a task: {value}."
            )
        self.task = task
        self.value = value
        self._flow: Flow | None = None
        self._tasks: dict[Task, None] = {}
        self._block: AbstractContextManager[Any] | None = None

    def add_task(self, task: Task, flow: Flow) -> None:
        """Record a task that is added to a flow inside the block."""
        if self._flow is not None and flow is not self._flow:
            raise ValueError(f"Tasks of {self._flow} and of {flow} are in one case block; use a block for each flow.")
        self._flow = flow
        self._tasks[task] = None

    def __enter__(self) -> case:
        self._flow = None
        self._tasks = {}
        self._block = context(case=self)
        self._block.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._block is not None:
            self._block.__exit__(None, None, None)
        if kind is not None or self._flow is None:
            return
        flow = self._flow
        # A parameter has no upstream, so a task that depends on nothing else inside the block needs the edge itself.
        inside = {task for task in self._tasks if task in flow.tasks and not isinstance(task, Parameter)}
        first = [task for task in self._tasks if task in inside and not flow.upstream_tasks(task) & inside]
        if not first:
            return
        options = edge_options(self.task, False)
        compare = CompareValue(self.value, name=f"case({self.value})")
        flow.add_edge(
            as_task(self.task, flow), compare, "value", options.mapped, validate=True, flattened=options.flattened
        )
        for task in first:
            flow.add_edge(compare, task, validate=True)
