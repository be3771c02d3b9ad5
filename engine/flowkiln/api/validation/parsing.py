"""Documents become models; what a model refuses becomes problems that name the field as people write it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from flowkiln.api.durations import DURATION_PATTERN, WHOLE_SECONDS_PATTERN
from flowkiln.api.flow import FlowSpec
from flowkiln.api.flow_run import FlowRunSpec
from flowkiln.api.model import PATTERNS_IN_WORDS, Model
from flowkiln.api.validation.problem import Problem, no_such

_DURATIONS = frozenset({DURATION_PATTERN, WHOLE_SECONDS_PATTERN})
_SUBJECT = re.compile(r"^\w+ should ")
_SpecT = TypeVar("_SpecT", bound=Model)


def parse_flow_spec(document: object, field: str = "spec") -> tuple[FlowSpec | None, tuple[Problem, ...]]:
    """Read the spec of a Flow as it stands in YAML or comes from the API server; None if there are problems."""
    return _parse(FlowSpec, document, field)


def parse_flow_run_spec(document: object, field: str = "spec") -> tuple[FlowRunSpec | None, tuple[Problem, ...]]:
    """Read the spec of a FlowRun as it stands in YAML or comes from the API server; None if there are problems."""
    return _parse(FlowRunSpec, document, field)


def _parse(model: type[_SpecT], document: object, field: str) -> tuple[_SpecT | None, tuple[Problem, ...]]:
    try:
        return model.model_validate(document, by_alias=True, by_name=False), ()
    except ValidationError as error:
        details = error.errors(include_url=False)
    except RecursionError:
        return None, (Problem(field, "is nested too deeply"),)
    by_field: dict[str, list[tuple[str, Problem]]] = {}
    for detail in details:
        if not _is_echo(detail):
            problem = _problem(model, document, detail, field)
            by_field.setdefault(problem.field, []).append((detail["type"], problem))
    return None, tuple(problem for found in by_field.values() for problem in _most_telling(found))


def _is_echo(detail: ErrorDetails) -> bool:
    """Whether a list is only called too short because its items have problems, which are told on their own."""
    return detail["type"] == "too_short" and len(detail["input"]) >= detail["ctx"]["min_length"]


def _most_telling(found: Sequence[tuple[str, Problem]]) -> list[Problem]:
    """Of the complaints of all members of a union, leave out those that are only about another member's type."""
    telling = [problem for kind, problem in found if not kind.endswith("_type")]
    return list(dict.fromkeys(telling or [problem for _, problem in found[:1]]))


def _problem(model: type[BaseModel], document: object, detail: ErrorDetails, field: str) -> Problem:
    known = _written_parts(document, detail["loc"])
    path = field + "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in known)
    context: Mapping[str, Any] = detail.get("ctx", {})
    match detail["type"]:
        case "extra_forbidden":
            fields = _fields(_model_at(model, known[:-1]))
            return Problem(path, no_such("field", str(known[-1]), fields))
        case "missing":
            return Problem(path, "is required")
        case "string_pattern_mismatch":
            words = PATTERNS_IN_WORDS.get(context["pattern"], f"must match {context['pattern']}")
            return Problem(path, f'"{detail["input"]}" is not allowed: {words}')
        case "enum":
            return Problem(path, f'"{detail["input"]}" is not allowed: must be {context["expected"]}')
        case "model_type" | "dict_type":
            return Problem(path, "must be a mapping")
        case "too_short":
            return Problem(
                path, f"must have at least {context['min_length']} {'item' if context['min_length'] == 1 else 'items'}"
            )
        case "string_type":
            return Problem(path, _no_text(detail["input"], _field_at(model, known)))
        case "tuple_type":
            return Problem(path, "must be a list")
        case _:
            return Problem(path, _SUBJECT.sub("must ", detail["msg"]))


def _no_text(given: object, field: FieldInfo | None) -> str:
    """Say how a value is to be written that is no text, but must be."""
    duration = next((pattern for pattern in _patterns(field) if pattern in _DURATIONS), None)
    match given:
        case int() if duration is not None and not isinstance(given, bool):
            return f"must have a unit: write {given}s for seconds, {given}m for minutes"
        case _ if duration is not None:
            return f"must be text: {PATTERNS_IN_WORDS[duration]}"
        case bool() | int() | float():
            return f'must be text: write "{json.dumps(given)}", in quotes'
        case _:
            return "must be text"


def _patterns(part: object) -> Iterator[str]:
    """Give the patterns in the type of a field."""
    for constraint in getattr(part, "metadata", ()):
        if isinstance(pattern := getattr(constraint, "pattern", None), str):
            yield pattern
    for inner in (*get_args(part), getattr(part, "annotation", None)):
        if inner is not None:
            yield from _patterns(inner)


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


def _model_at(model: type[BaseModel], path: Sequence[int | str]) -> type[BaseModel] | None:
    """Find the model that stands at a path, None where it is free-form."""
    here: type[BaseModel] | None = model
    for part in path:
        if isinstance(part, int) or here is None:
            continue
        field = next((field for field in here.model_fields.values() if field.alias == part), None)
        here = None if field is None else _model_in(field.annotation)
    return here


def _field_at(model: type[BaseModel], path: Sequence[int | str]) -> FieldInfo | None:
    """Find the field of which a path leads to the value, or to an item."""
    names = [part for part in path if isinstance(part, str)]
    owner = _model_at(model, names[:-1])
    fields = owner.model_fields.values() if owner is not None else ()
    return next((field for field in fields if names and field.alias == names[-1]), None)


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for argument in get_args(annotation) if (found := _model_in(argument))), None)


def _fields(model: type[BaseModel] | None) -> list[str]:
    return [] if model is None else [field.alias or name for name, field in model.model_fields.items()]
