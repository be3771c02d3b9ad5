"""References: what a task names must exist."""

from __future__ import annotations

from collections.abc import Iterator

from flowkiln.api.flow import FlowSpec
from flowkiln.api.validation.problem import Problem, no_such


def check_references(spec: FlowSpec) -> Iterator[Problem]:
    """Check the tasks and parameters that inputs, `after` and `referenceTasks` name."""
    tasks = {task.name for task in spec.tasks}
    parameters = {parameter.name for parameter in spec.parameters}
    for index, task in enumerate(spec.tasks):
        for position, given in enumerate(task.inputs):
            field = f"tasks[{index}].inputs[{position}]"
            if given.task is not None and given.task not in tasks:
                yield Problem(f"{field}.task", no_such("task", given.task, tasks))
            if given.parameter is not None and given.parameter not in parameters:
                yield Problem(f"{field}.parameter", no_such("parameter", given.parameter, parameters))
        yield from _check_tasks(f"tasks[{index}].after", task.after, tasks)
    if spec.entrypoint is None:
        yield from _check_tasks("referenceTasks", spec.reference_tasks, tasks)


def _check_tasks(field: str, names: tuple[str, ...], tasks: set[str]) -> Iterator[Problem]:
    seen: set[str] = set()
    for index, name in enumerate(names):
        if name not in tasks:
            yield Problem(f"{field}[{index}]", no_such("task", name, tasks))
        elif name in seen:
            yield Problem(f"{field}[{index}]", f'the task "{name}" is named twice')
        seen.add(name)
