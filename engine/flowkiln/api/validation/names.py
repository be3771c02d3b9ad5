"""Names: each means one thing."""

from __future__ import annotations

import keyword
from collections.abc import Iterable, Iterator

from flowkiln.api.flow import FlowSpec
from flowkiln.api.validation.problem import Problem
from flowkiln.common.names import RESERVED_ARGUMENTS, local_id


def check_names(spec: FlowSpec) -> Iterator[Problem]:
    """Check that names are unique where they must be, and that inputs have names that a function can take."""
    yield from _unique("parameters", (parameter.name for parameter in spec.parameters))
    yield from _unique("tasks", (task.name for task in spec.tasks))
    # In status, parameters stand beside tasks.
    parameters = {local_id(parameter.name): parameter.name for parameter in spec.parameters}
    for index, parameter in enumerate(spec.parameters):
        yield from _no_keyword(f"parameters[{index}].name", parameter.name)
    for index, task in enumerate(spec.tasks):
        if (parameter_name := parameters.get(task.name)) is not None:
            yield Problem(
                f"tasks[{index}].name",
                f'"{task.name}" is taken by the parameter "{parameter_name}"; rename one of them',
            )
        yield from _unique(f"tasks[{index}].inputs", (given.name for given in task.inputs))
        for position, given in enumerate(task.inputs):
            field = f"tasks[{index}].inputs[{position}].name"
            yield from _no_keyword(field, given.name)
            if given.name in RESERVED_ARGUMENTS and task.function is not None:
                yield Problem(field, f'no argument of a task\'s function can be called "{given.name}"')


def _unique(field: str, names: Iterable[str]) -> Iterator[Problem]:
    first: dict[str, int] = {}
    for index, name in enumerate(names):
        if name in first:
            yield Problem(f"{field}[{index}].name", f'{field}[{first[name]}] is called "{name}" already')
        first.setdefault(name, index)


def _no_keyword(field: str, name: str) -> Iterator[Problem]:
    if keyword.iskeyword(name):
        yield Problem(field, f'"{name}" is a keyword of Python and cannot be the name of an argument')
