"""Fields of which exactly one, or at most one, may be given."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

from flowkiln.api.flow import FlowSpec, TaskInput
from flowkiln.api.flow_run import FlowRunSpec
from flowkiln.api.model import Model, listed
from flowkiln.api.validation.problem import Problem
from flowkiln.api.validation.shapes import model_in


def check_choices(spec: FlowSpec) -> Iterator[Problem]:
    """Check the choices of all parts of a flow, and what goes with one of them only."""
    yield from _problems(spec)
    if spec.entrypoint is not None:
        for field, given in {"referenceTasks": spec.reference_tasks, "stateHandlers": spec.state_handlers}.items():
            if given:
                yield Problem(field, "goes with tasks only; with an entrypoint the code sets it")
    for index, task in enumerate(spec.tasks):
        if task.trigger.rule is not None and task.trigger.function is not None:
            yield Problem(f"tasks[{index}].trigger", "rule and function exclude each other")
        for position, argument in enumerate(task.inputs):
            yield from _check_map(f"tasks[{index}].inputs[{position}].map", argument)


def check_run_choices(spec: FlowRunSpec) -> Iterator[Problem]:
    """Check flowRef or flowSpec."""
    yield from _problems_of_choice(spec, _shape_of(FlowRunSpec).choices)


def _check_map(field: str, argument: TaskInput) -> Iterator[Problem]:
    if argument.map and argument.task is None:
        yield Problem(field, "goes with task only")


@dataclass(frozen=True, slots=True)
class _Shape:
    """What is looked at of a model: its choices, as pairs of written name and attribute, and the fields with parts."""

    choices: tuple[tuple[str, str], ...]
    parts: tuple[tuple[str, str], ...]


def _problems(part: Model) -> list[Problem]:
    """Check a part of a document and the parts inside of it. A default has none: it is as it should be."""
    shape = _shape_of(type(part))
    found = _problems_of_choice(part, shape.choices) if shape.choices else []
    for field, name in shape.parts:
        if name in part.model_fields_set:
            match getattr(part, name):
                case tuple() as several:
                    for index, inner in enumerate(several):
                        if problems := _problems(inner):
                            found += (problem.under(f"{field}[{index}]") for problem in problems)
                case Model() as inner:
                    found += (problem.under(field) for problem in _problems(inner))
    return found


def _problems_of_choice(part: Model, choices: tuple[tuple[str, str], ...]) -> list[Problem]:
    given = [field for field, name in choices if getattr(part, name) not in (None, ())]
    if len(given) == 1:
        return []
    fields = listed(field for field, _ in choices)
    if not given:
        return [Problem("", f"exactly one of {fields} must be given, and none is")]
    return [Problem("", f"{listed(given)} exclude each other; give exactly one of {fields}")]


@cache
def _shape_of(model: type[Model]) -> _Shape:
    names = {field.alias or name: name for name, field in model.model_fields.items()}
    return _Shape(
        tuple((field, names[field]) for field in model.exactly_one),
        tuple((field, name) for field, name in names.items() if model_in(model.model_fields[name].annotation)),
    )
