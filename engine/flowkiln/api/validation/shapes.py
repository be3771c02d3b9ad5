"""Which model and which field stand at a path of a document."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, get_args

from pydantic import BaseModel
from pydantic.fields import FieldInfo


def model_at(model: type[BaseModel], path: Sequence[int | str]) -> type[BaseModel] | None:
    """Find the model that stands at a path, None where it is free-form."""
    here: type[BaseModel] | None = model
    for part in path:
        if isinstance(part, int) or here is None:
            continue
        field = next((field for field in here.model_fields.values() if field.alias == part), None)
        here = None if field is None else model_in(field.annotation)
    return here


def field_at(model: type[BaseModel], path: Sequence[int | str]) -> FieldInfo | None:
    """Find the field of which a path leads to the value, or to an item."""
    names = [part for part in path if isinstance(part, str)]
    owner = model_at(model, names[:-1])
    fields = owner.model_fields.values() if owner is not None else ()
    return next((field for field in fields if names and field.alias == names[-1]), None)


def fields_of(model: type[BaseModel] | None) -> list[str]:
    """List the fields of a model as people write them."""
    return [] if model is None else [field.alias or name for name, field in model.model_fields.items()]


def patterns_of(part: object) -> Iterator[str]:
    """Return the patterns in the type of a field."""
    for constraint in getattr(part, "metadata", ()):
        if isinstance(pattern := getattr(constraint, "pattern", None), str):
            yield pattern
    for inner in (*get_args(part), getattr(part, "annotation", None)):
        if inner is not None:
            yield from patterns_of(inner)


def model_in(annotation: Any) -> type[BaseModel] | None:
    """Find the model that a field holds, or that its items are of; None if there is none."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for argument in get_args(annotation) if (found := model_in(argument))), None)
