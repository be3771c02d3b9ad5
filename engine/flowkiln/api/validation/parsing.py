"""Documents become models; what a model refuses becomes problems that name the field as people write it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from flowkiln.api.durations import DURATION_PATTERN, WHOLE_SECONDS_PATTERN
from flowkiln.api.flow import FlowSpec, TaskInput, Trigger
from flowkiln.api.flow_run import FlowRunSpec
from flowkiln.api.model import PATTERNS_IN_WORDS, PERCENT_PATTERN, Model
from flowkiln.api.quantities import QUANTITY_PATTERN
from flowkiln.api.validation.hints import hint_for_map, hint_for_rule, hint_for_shape, hint_for_unknown_field
from flowkiln.api.validation.problem import Problem, no_such
from flowkiln.api.validation.shapes import field_at, fields_of, model_at, patterns_of
from flowkiln.api.validation.weight import is_too_heavy

WrittenAt: TypeAlias = Callable[[Sequence[int | str]], str | None]
"""Gives the scalar at a path as it is written in the document's text: `no`, where the value is False."""

_DURATIONS = frozenset({DURATION_PATTERN, WHOLE_SECONDS_PATTERN})
_NUMBERS_OR_TEXT = frozenset({QUANTITY_PATTERN, PERCENT_PATTERN})
_SUBJECT = re.compile(r"^\w+ should ")
_SHOWN_OF_DEEP_PATH = 8
_TOO_HEAVY = "holds too many values to be read; pass large data by reference, such as a URL"
_MAX_DETAILS = 100
"""How many complaints are turned into sentences."""
_SpecT = TypeVar("_SpecT", bound=Model)


def parse_flow_spec(
    document: object, field: str = "spec", *, written_at: WrittenAt | None = None
) -> tuple[FlowSpec | None, tuple[Problem, ...]]:
    """Read the spec of a Flow as it stands in YAML or comes from the API server; None if there are problems."""
    return _parse(FlowSpec, document, field, written_at)


def parse_flow_run_spec(
    document: object, field: str = "spec", *, written_at: WrittenAt | None = None
) -> tuple[FlowRunSpec | None, tuple[Problem, ...]]:
    """Read the spec of a FlowRun as it stands in YAML or comes from the API server; None if there are problems."""
    return _parse(FlowRunSpec, document, field, written_at)


def _parse(
    model: type[_SpecT], document: object, field: str, written_at: WrittenAt | None
) -> tuple[_SpecT | None, tuple[Problem, ...]]:
    if is_too_heavy(document):
        return None, (Problem(field, _TOO_HEAVY),)
    try:
        return model.model_validate(document, by_alias=True, by_name=False), ()
    except ValidationError as error:
        details = error.errors(include_url=False)[:_MAX_DETAILS]
    except RecursionError:
        return None, (Problem(field, "is nested too deeply"),)
    by_field: dict[str, list[tuple[str, Problem]]] = {}
    for detail in details:
        if not _is_echo(detail):
            problem = _problem(model, document, detail, field, written_at)
            by_field.setdefault(problem.field, []).append((detail["type"], problem))
    return None, tuple(problem for found in by_field.values() for problem in _most_telling(found))


def _is_echo(detail: ErrorDetails) -> bool:
    """Return whether a list is only called too short because its items have problems, which are told on their own."""
    return detail["type"] == "too_short" and len(detail["input"]) >= detail["ctx"]["min_length"]


def _most_telling(found: Sequence[tuple[str, Problem]]) -> list[Problem]:
    """Of the complaints of all members of a union, leave out those that are only about another member's type."""
    telling = [problem for kind, problem in found if not kind.endswith("_type")]
    return list(dict.fromkeys(telling or [problem for _, problem in found[:1]]))


def _problem(
    model: type[BaseModel], document: object, detail: ErrorDetails, field: str, written_at: WrittenAt | None
) -> Problem:
    known = _written_parts(document, detail["loc"])
    path = _path(field, known)
    context: Mapping[str, Any] = detail.get("ctx", {})
    given = detail["input"]
    match detail["type"]:
        case "extra_forbidden":
            owner = model_at(model, known[:-1])
            if hint := hint_for_unknown_field(owner, str(known[-1])):
                return Problem(path, f'there is no field "{known[-1]}"; {hint}')
            return Problem(path, no_such("field", str(known[-1]), fields_of(owner)))
        case "missing":
            return Problem(path, "is required")
        case "string_pattern_mismatch":
            words = PATTERNS_IN_WORDS.get(context["pattern"], f"must match {context['pattern']}")
            return Problem(path, f'"{given}" is not allowed: {words}')
        case "enum":
            return Problem(path, _no_member(given, context["expected"], model_at(model, known[:-1])))
        case "model_type" | "dict_type":
            return Problem(path, _with_hint("must be a mapping", hint_for_shape(model, known, given)))
        case "too_short":
            return Problem(
                path, f"must have at least {context['min_length']} {'item' if context['min_length'] == 1 else 'items'}"
            )
        case "string_type":
            return Problem(
                path, _no_text(given, field_at(model, known), None if written_at is None else written_at(known))
            )
        case "int_type" if advice := _number_or_text(field_at(model, known) or field_at(model, known[:-1])):
            return Problem(path, f"must be a whole number or text: {advice}")
        case "tuple_type":
            return Problem(path, _with_hint("must be a list", hint_for_shape(model, known, given)))
        case "bool_type" if known[-1:] == ("map",) and model_at(model, known[:-1]) is TaskInput:
            return Problem(path, _with_hint("must be a valid boolean", hint_for_map(given)))
        case "recursion_loop" | "recursion_depth_exceeded":
            return Problem(_path(field, known[:_SHOWN_OF_DEEP_PATH]), "is nested too deeply")
        case _:
            return Problem(path, _SUBJECT.sub("must ", detail["msg"]))


def _path(field: str, parts: Sequence[int | str]) -> str:
    return field + "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in parts)


def _with_hint(message: str, hint: str | None) -> str:
    return message if hint is None else f"{message}: {hint}"


def _no_member(given: object, expected: str, owner: type[BaseModel] | None) -> str:
    message = f'"{given}" is not allowed: must be {expected}'
    rule = hint_for_rule(given) if owner is Trigger and isinstance(given, str) else None
    return f'{message}; did you mean "{rule}"?' if rule else message


def _number_or_text(field: FieldInfo | None) -> str | None:
    """Return how to write a number that may also be text: a quantity or a share."""
    return next((PATTERNS_IN_WORDS[pattern] for pattern in patterns_of(field) if pattern in _NUMBERS_OR_TEXT), None)


def _no_text(given: object, field: FieldInfo | None, written: str | None) -> str:
    """Return how to write a value that must be text."""
    duration = next((pattern for pattern in patterns_of(field) if pattern in _DURATIONS), None)
    match given:
        case int() if duration is not None and not isinstance(given, bool):
            return f"must have a unit: write {given}s for seconds, {given}m for minutes"
        case _ if duration is not None:
            return f"must be text: {PATTERNS_IN_WORDS[duration]}"
        case bool() | int() | float():
            return f'must be text: write "{written or json.dumps(given)}", in quotes'
        case _:
            return "must be text"


def _written_parts(document: object, location: Sequence[int | str]) -> tuple[int | str, ...]:
    """Drop what pydantic adds to a location for its own sake: names of a union's members, and `[key]`."""
    parts: list[int | str] = []
    here: object = document
    for position, part in enumerate(location):
        is_last = position == len(location) - 1
        if isinstance(here, Mapping) and (part in here or (is_last and part != "[key]")):
            parts.append(part)
            here = here.get(part)
        elif isinstance(here, list) and isinstance(part, int):
            parts.append(part)
            here = here[part]
    return tuple(parts)
