"""What all API models have in common: one base class, and the bounded types that their fields are made of.

Bounds are part of the types, so that Python and the API server refuse the same things.
Fields are optional by being None or empty; a null in a document counts as a field that was not written.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Annotated, Any, ClassVar, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, GetJsonSchemaHandler, JsonValue, model_validator
from pydantic.alias_generators import to_camel
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from flowkiln.api.durations import DURATION_PATTERN, WHOLE_SECONDS_PATTERN
from flowkiln.api.quantities import MAX_LENGTH, QUANTITY_PATTERN

DNS_LABEL_PATTERN = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"
DNS_SUBDOMAIN_PATTERN = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$"
IDENTIFIER_PATTERN = r"^[A-Za-z_][A-Za-z0-9_]*$"
CALLABLE_PATTERN = (
    r"^[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*:[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*$"
)
QUALIFIED_NAME_PATTERN = (
    r"^([a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?"
    r"[A-Za-z0-9]([-_.A-Za-z0-9]{0,61}[A-Za-z0-9])?$"
)
LABEL_VALUE_PATTERN = r"^([A-Za-z0-9]([-_.A-Za-z0-9]*[A-Za-z0-9])?)?$"
PERCENT_PATTERN = r"^(100|[1-9]?[0-9])%$"

PATTERNS_IN_WORDS: Mapping[str, str] = MappingProxyType(
    {
        DNS_LABEL_PATTERN: "use lower-case letters, digits and dashes, with a letter or digit at both ends",
        DNS_SUBDOMAIN_PATTERN: "use lower-case letters, digits, dashes and dots, with a letter or digit at both ends",
        IDENTIFIER_PATTERN: "use letters, digits and underscores, and no digit first",
        CALLABLE_PATTERN: "write module:callable, such as weather:extract",
        QUANTITY_PATTERN: "write a quantity such as 500m, 2 or 4Gi",
        QUALIFIED_NAME_PATTERN: "write a key such as team or example.org/team",
        LABEL_VALUE_PATTERN: "use letters, digits, dashes, dots and underscores, with a letter or digit at both ends",
        PERCENT_PATTERN: "write a number, or a share such as 50%",
        DURATION_PATTERN: "write a duration such as 90s, 5m, 1h30m or 500ms",
        WHOLE_SECONDS_PATTERN: "write a duration of whole seconds such as 90s, 5m or 1h30m",
    }
)
"""What each pattern asks for, for people."""


def list_map_by(key: str) -> dict[str, Any]:
    """Declare a list as a map keyed by a field, so several writers can own one item each."""
    return {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": [key]}


LIST_MAP_BY_NAME = list_map_by("name")
LIST_SET: dict[str, Any] = {"x-kubernetes-list-type": "set"}
LIST_ATOMIC: dict[str, Any] = {"x-kubernetes-list-type": "atomic"}


class Model(BaseModel):
    """A frozen value with snake_case attributes, written in camelCase, that refuses fields it does not know."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        alias_generator=to_camel,
        validate_by_alias=True,
        validate_by_name=True,
        regex_engine="rust-regex",
        # On first use, not on import: a class that is only part of another is never built on its own.
        defer_build=True,
    )
    exactly_one: ClassVar[tuple[str, ...]] = ()
    """Fields, as they are written, of which exactly one must be given."""

    @classmethod
    def rules(cls) -> Iterable[tuple[str, str]]:
        """Return what the API server checks beside: pairs of a CEL expression, and what a breach of it means."""
        return ()

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler, /) -> JsonSchemaValue:
        reference = handler(core_schema)
        schema = handler.resolve_ref_schema(reference)
        rules = [{"rule": rule, "message": message} for rule, message in cls.rules()]
        if cls.exactly_one:
            fields = {name: handler.resolve_ref_schema(schema["properties"][name]) for name in cls.exactly_one}
            seen = [name for name, field in fields.items() if has_type(field)]
            rules = [_choice(seen, is_complete=len(seen) == len(fields)), *rules]
            if len(seen) < len(fields):  # CEL does not see a field without a type
                schema["oneOf"] = [{"required": [name]} for name in fields]
        if rules:
            schema["x-kubernetes-validations"] = rules
        return reference

    @model_validator(mode="before")
    @classmethod
    def _without_nulls(cls, document: Any) -> Any:
        """Remove nulls, as kubectl does, except in free-form values."""
        if isinstance(document, dict) and None in document.values():
            return {key: value for key, value in document.items() if value is not None}
        return document

    def to_json(self) -> dict[str, Any]:
        """Return the document for Kubernetes: camelCase, only fields that were set, no nulls."""
        return self.model_dump(mode="json", by_alias=True, exclude_unset=True, exclude_none=True)


def _choice(fields: Sequence[str], *, is_complete: bool) -> dict[str, str]:
    """Return the rule that exactly one of some fields is given; at most one, if there are more that CEL cannot see."""
    given = f"[{', '.join(f'has(self.{field})' for field in fields)}]"
    if is_complete:
        message = f"exactly one of {listed(fields)} must be given"
        return {"rule": f"{given}.exists_one(given, given)", "message": message}
    return {"rule": f"{given}.filter(given, given).size() <= 1", "message": f"{listed(fields)} exclude each other"}


def has_type(schema: Mapping[str, Any]) -> bool:
    """Return whether a schema says anything about values."""
    return bool(schema.keys() - {"title", "description", "default"})


def listed(names: Iterable[str], *, last_after: str = "and") -> str:
    """List names as in `a, b and c`."""
    *most, last = names
    return f"{', '.join(most)} {last_after} {last}" if most else last


def any_of(names: Iterable[str]) -> str:
    """List names as in `a, b or c`."""
    return listed(names, last_after="or")


DnsLabel: TypeAlias = Annotated[str, Field(max_length=63, pattern=DNS_LABEL_PATTERN)]
"""A name of at most 63 characters of `[a-z0-9-]`."""

ObjectName: TypeAlias = Annotated[str, Field(min_length=1, max_length=253, pattern=DNS_SUBDOMAIN_PATTERN)]
"""The name of a Kubernetes object."""

Identifier: TypeAlias = Annotated[str, Field(max_length=63, pattern=IDENTIFIER_PATTERN)]
"""A Python identifier."""

CallablePath: TypeAlias = Annotated[str, Field(max_length=256, pattern=CALLABLE_PATTERN)]
"""`module:callable`, with dots allowed on both sides."""

Duration: TypeAlias = Annotated[str, Field(max_length=32, pattern=DURATION_PATTERN)]
"""A GEP-2257 duration, such as `500ms`, `90s` or `1h30m`."""

WholeSeconds: TypeAlias = Annotated[str, Field(max_length=32, pattern=WHOLE_SECONDS_PATTERN)]
"""A GEP-2257 duration without milliseconds."""

Quantity: TypeAlias = (
    Annotated[int, Field(strict=True, ge=0)] | Annotated[str, Field(max_length=MAX_LENGTH, pattern=QUANTITY_PATTERN)]
)
"""An amount of a resource as Kubernetes writes it: `500m`, `2Gi`, 1."""

QualifiedName: TypeAlias = Annotated[str, Field(max_length=317, pattern=QUALIFIED_NAME_PATTERN)]
"""The key of a label, an annotation or a taint."""

LabelValue: TypeAlias = Annotated[str, Field(max_length=63, pattern=LABEL_VALUE_PATTERN)]
"""The value of a label or a taint."""

Percent: TypeAlias = Annotated[str, Field(max_length=4, pattern=PERCENT_PATTERN)]
Count: TypeAlias = Annotated[int, Field(strict=True, ge=0, le=1_000_000)]
CountOrPercent: TypeAlias = Count | Percent
"""Either a number of things, or a share of them such as `50%`."""

DataKey: TypeAlias = Annotated[str, Field(min_length=1, max_length=253, pattern=r"^[-._a-zA-Z0-9]+$")]
"""A key in a ConfigMap or Secret."""

Flag: TypeAlias = Annotated[bool, Field(strict=True)]

Label: TypeAlias = Annotated[str, Field(max_length=63)]
ShortText: TypeAlias = Annotated[str, Field(max_length=1024)]
FreeFormObject: TypeAlias = dict[str, JsonValue]
FilePath: TypeAlias = Annotated[str, Field(min_length=1, max_length=1024)]
"""A path inside a container."""

__all__ = [
    "CALLABLE_PATTERN",
    "LIST_ATOMIC",
    "LIST_MAP_BY_NAME",
    "LIST_SET",
    "PATTERNS_IN_WORDS",
    "CallablePath",
    "Count",
    "CountOrPercent",
    "DataKey",
    "DnsLabel",
    "Duration",
    "FilePath",
    "Flag",
    "FreeFormObject",
    "Identifier",
    "JsonValue",
    "Label",
    "LabelValue",
    "Model",
    "ObjectName",
    "Percent",
    "QualifiedName",
    "Quantity",
    "ShortText",
    "WholeSeconds",
    "any_of",
    "has_type",
    "list_map_by",
    "listed",
]
