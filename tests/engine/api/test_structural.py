"""Models become structural schemas."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any

import pytest
from pydantic import Field, JsonValue, create_model

from flowkiln.api.model import CountOrPercent, Duration, FreeFormObject, Model
from flowkiln.api.structural import SchemaError, structural_schema


def schema_of(annotation: Any, default: Any = ..., **extra: Any) -> dict[str, Any]:
    """Give the schema of a model's only field."""
    model = create_model("Example", __base__=Model, it=(annotation, Field(default, description="About it.", **extra)))
    result = structural_schema(model)["properties"]["it"]
    assert isinstance(result, dict)
    return result


@pytest.mark.parametrize(
    ("annotation", "default", "expected"),
    [
        (bool, ..., {"type": "boolean", "description": "About it."}),
        (bool, True, {"type": "boolean", "description": "About it. Default: true."}),
        (
            Annotated[int, Field(ge=1, le=9)],
            1,
            {"type": "integer", "format": "int64", "minimum": 1, "maximum": 9, "description": "About it. Default: 1."},
        ),
        (JsonValue, None, {"x-kubernetes-preserve-unknown-fields": True, "description": "About it."}),
    ],
)
def test_scalars(annotation: Any, default: Any, expected: dict[str, Any]) -> None:
    """Types and bounds are kept, and defaults are told in words."""
    assert schema_of(annotation, default) == expected


def test_an_optional_field_is_the_field_itself() -> None:
    """Nothing is nullable: `X | None` has the schema of X."""
    assert schema_of(Duration | None, None) == schema_of(Duration)


def test_integer_or_string_keeps_the_bounds_of_both() -> None:
    """Kubernetes' own extension says the union, beside bounds that each hold for one type."""
    assert schema_of(CountOrPercent) == {
        "description": "About it.",
        "anyOf": [{"type": "integer"}, {"type": "string"}],
        "x-kubernetes-int-or-string": True,
        "minimum": 0,
        "maximum": 1_000_000,
        "maxLength": 4,
        "pattern": "^(100|[1-9]?[0-9])%$",
    }


def test_free_form_maps_are_objects_with_a_bound() -> None:
    """Values of any kind are preserved, and their number is bounded."""
    assert schema_of(FreeFormObject, max_length=5) == {
        "description": "About it.",
        "type": "object",
        "maxProperties": 5,
        "x-kubernetes-preserve-unknown-fields": True,
    }


@pytest.mark.parametrize(
    ("annotation", "message"),
    [
        (str, "Example.it: maxLength is missing"),
        (tuple[bool, ...], "Example.it: maxItems is missing"),
        (dict[str, bool], "Example.it: maxProperties is missing"),
        (Annotated[tuple[str, ...], Field(max_length=1)], r"Example.it\[\]: maxLength is missing"),
        (float, "Example.it: a structural schema cannot have type 'number'"),
        (bool | int, "Example.it: only the union of integer and string"),
    ],
)
def test_what_has_no_bound_is_refused(annotation: Any, message: str) -> None:
    """No string, list or map gets into the API without a limit, and no float at all."""
    with pytest.raises(SchemaError, match=message):
        schema_of(annotation)


def test_a_field_without_description_is_refused() -> None:
    """`kubectl explain` never shows an empty page."""

    class Silent(Model):
        it: bool

    with pytest.raises(SchemaError, match=r"Silent\.it: description is missing"):
        structural_schema(Silent)


def test_rules_and_nested_models_are_inlined() -> None:
    """References are resolved, a field's own description wins over the model's, and CEL rules come along."""

    class Inner(Model):
        """What it is."""

        exactly_one = ("flag", "word", "anything")
        flag: bool | None = Field(None, description="A flag.")
        word: bool | None = Field(None, description="A word.")
        anything: JsonValue = Field(None, description="What CEL does not see.")

        @classmethod
        def rules(cls) -> Iterable[tuple[str, str]]:
            return (("has(self.flag)", "flag is needed"),)

    assert schema_of(Inner | None, None) == {
        "description": "About it.",
        "type": "object",
        "oneOf": [{"required": ["flag"]}, {"required": ["word"]}, {"required": ["anything"]}],
        "x-kubernetes-validations": [
            {
                "rule": "[has(self.flag), has(self.word)].filter(given, given).size() <= 1",
                "message": "flag and word exclude each other",
            },
            {"rule": "has(self.flag)", "message": "flag is needed"},
        ],
        "properties": {
            "flag": {"type": "boolean", "description": "A flag."},
            "word": {"type": "boolean", "description": "A word."},
            "anything": {"description": "What CEL does not see.", "x-kubernetes-preserve-unknown-fields": True},
        },
    }
