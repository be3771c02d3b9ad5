"""Fields of which exactly one, or at most one, may be given."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

from flowkiln.api.flow import FlowSpec, TaskInput
from flowkiln.api.flow_run import FlowRunSpec
from flowkiln.api.model import Model, listed
from flowkiln.api.validation.problem import Problem
from flowkiln.api.validation.shapes import model_in


def check_choices(spec: FlowSpec) -> Iterator[Problem]:
    """Check the choices of all parts of a flow, and what goes with one of them only."""
    yield from _check_all("", spec)
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
    return _check_one("", spec)


def _check_map(field: str, argument: TaskInput) -> Iterator[Problem]:
    if argument.map and argument.task is None:
        yield Problem(field, "goes with task only")


def _check_all(field: str, part: Model) -> Iterator[Problem]:
    """Check a part of a document and the parts inside of it. A default has none: it is as it should be."""
    yield from _check_one(field, part)
    prefix = f"{field}." if field else ""
    for name, alias in _fields_with_parts(type(part)):
        if name in part.model_fields_set:
            match getattr(part, name):
                case Model() as inner:
                    yield from _check_all(f"{prefix}{alias}", inner)
                case tuple() as several:
                    for index, inner in enumerate(several):
                        yield from _check_all(f"{prefix}{alias}[{index}]", inner)


def _check_one(field: str, part: Model) -> Iterator[Problem]:
    choices = type(part).exactly_one
    given = [alias for alias, name in _names(type(part)) if getattr(part, name) not in (None, ())]
    if choices and not given:
        yield Problem(field, f"exactly one of {listed(choices)} must be given, and none is")
    elif len(given) > 1:
        yield Problem(field, f"{listed(given)} exclude each other; give exactly one of {listed(choices)}")


@cache
def _names(model: type[Model]) -> tuple[tuple[str, str], ...]:
    """Return a model's choices as they are written, each with the name of its attribute."""
    names = {field.alias or name: name for name, field in model.model_fields.items()}
    return tuple((alias, names[alias]) for alias in model.exactly_one)


@cache
def _fields_with_parts(model: type[Model]) -> tuple[tuple[str, str], ...]:
    """Return the names of the fields that hold other models, each with how it is written."""
    return tuple(
        (name, field.alias or name)
        for name, field in model.model_fields.items()
        if model_in(field.annotation) is not None
    )
