"""Reading a schema: every keyword has the shape that it must have, and every `$ref` leads to a part of the schema."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, TypeAlias
from urllib.parse import unquote

from pydantic import JsonValue

from flowkiln.api.validation.json_schema.fault import Fault, Place, fault_at
from flowkiln.api.validation.json_schema.patterns import Pattern, PatternError
from flowkiln.api.validation.json_schema.steps import Steps
from flowkiln.api.validation.json_schema.types import TYPES, is_count, is_finite, shown

DIALECT = "https://json-schema.org/draft/2020-12/schema"

Part: TypeAlias = bool | Mapping[str, Any]
"""A schema inside a schema."""

_Check: TypeAlias = Callable[[Any, Place, Steps], None]
"""Raises _FaultFoundError for a keyword's value that does not have the shape that it must have."""

_ONE = frozenset(
    {"additionalProperties", "propertyNames", "items", "contains", "not", "if", "then", "else", "contentSchema"}
)
_LISTS = frozenset({"allOf", "anyOf", "oneOf", "prefixItems"})
_MAPS = frozenset({"properties", "patternProperties", "dependentSchemas", "$defs", "definitions"})
_NUMBERS = frozenset({"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"})
_COUNTS = frozenset(
    {"minLength", "maxLength", "minItems", "maxItems", "minContains", "maxContains", "minProperties", "maxProperties"}
)
_FLAGS = frozenset({"uniqueItems", "deprecated", "readOnly", "writeOnly"})
_TEXTS = frozenset(
    {
        "$id",
        "$comment",
        "title",
        "description",
        "format",
        "pattern",
        "contentEncoding",
        "contentMediaType",
    }
)
_REFERENCES = frozenset({"$ref", "$dynamicRef"})
_ANCHORS = frozenset({"$anchor", "$dynamicAnchor"})
_NOT_SUPPORTED: Mapping[str, str] = MappingProxyType(
    {
        "unevaluatedItems": "use additionalProperties or items",
        "unevaluatedProperties": "use additionalProperties or items",
        "$recursiveRef": "use $ref",
    }
)
_AT_THE_TOP_ONLY = frozenset({"$schema", "$id"})


class _FaultFoundError(Exception):
    """Carries a fault out of the walk."""

    def __init__(self, place: Place, message: str) -> None:
        super().__init__(message)
        self.fault = fault_at(place, message)


@dataclass(frozen=True, slots=True)
class Schema:
    """A schema that was read: values can be compared with it."""

    root: Mapping[str, Any]
    targets: Mapping[str, Part]
    """Where each `$ref` leads, by its text."""
    patterns: Mapping[str, Pattern]
    """Every regular expression, compiled, by its text."""


def read_schema(document: Mapping[str, JsonValue], steps: Steps) -> Schema | Fault:
    """Read a schema, or say what is wrong with it. Raises TooManyStepsError."""
    reader = _Reader(steps, document.get("$id"))
    try:
        reader.read(document, None)
        targets = {text: reader.target(text, place) for text, place in reader.references.items()}
    except _FaultFoundError as found:
        return found.fault
    except RecursionError:
        return Fault("", "is nested too deeply")
    return Schema(document, targets, reader.patterns)


@dataclass(slots=True)
class _Reader:
    steps: Steps
    base: Any
    """The `$id` of the schema: a `$ref` may begin with it."""
    patterns: dict[str, Pattern] = field(default_factory=dict)
    references: dict[str, Place] = field(default_factory=dict)
    anchors: dict[str, Part] = field(default_factory=dict)
    parts: dict[str, Part] = field(default_factory=dict)
    """Every schema inside the schema, by its JSON Pointer."""

    def read(self, part: Any, place: Place, pointer: str = "") -> None:
        """Take in one schema, and those inside it."""
        self.steps.take(4)
        if not isinstance(part, bool | Mapping):
            raise _FaultFoundError(place, f"{shown(part)} is not a schema; write a mapping, true or false")
        self.parts[pointer] = part
        if isinstance(part, bool):
            return
        for keyword, value in part.items():
            self.steps.take(4)
            here = (place, keyword)
            if keyword in _ONE:
                self.read(value, here, f"{pointer}/{keyword}")
            elif keyword in _LISTS:
                for index, inner in enumerate(_list(value, here)):
                    self.read(inner, (here, index), f"{pointer}/{keyword}/{index}")
            elif keyword in _MAPS:
                self._read_map(keyword, _mapping(value, here), here, f"{pointer}/{keyword}")
            elif keyword in _ANCHORS:
                self.anchors[_text(value, here)] = part
            elif keyword in _REFERENCES:
                self.references.setdefault(_text(value, here), here)
            elif keyword in _AT_THE_TOP_ONLY and place is not None:
                raise _FaultFoundError(here, f"is not supported inside of a schema; {keyword} goes to its top")
            elif (check := _CHECKS.get(keyword)) is not None:
                check(value, here, self.steps)
            if keyword == "pattern":
                self._read_pattern(value, here)

    def target(self, reference: str, place: Place) -> Part:
        """Return the schema that a `$ref` leads to."""
        inside = reference
        if isinstance(self.base, str) and self.base and reference.startswith(self.base.rstrip("#")):
            inside = reference.removeprefix(self.base.rstrip("#")) or "#"
        found: Part | None = None
        if inside.startswith("#"):
            fragment = unquote(inside[1:])
            found = self.anchors.get(fragment) if fragment and fragment[0] != "/" else self.parts.get(fragment)
        if found is None:
            raise _FaultFoundError(place, f'refers to "{reference}", which is not a part of this schema')
        return found

    def _read_map(self, keyword: str, value: Mapping[str, Any], here: Place, pointer: str) -> None:
        for name, inner in value.items():
            at = (here, name)
            if keyword == "patternProperties":
                self._read_pattern(name, at)
            self.read(inner, at, f"{pointer}/{name.replace('~', '~0').replace('/', '~1')}")

    def _read_pattern(self, text: str, place: Place) -> None:
        if text in self.patterns:
            return
        try:
            self.patterns[text] = Pattern(text, self.steps)
        except PatternError as error:
            raise _FaultFoundError(place, f'"{text}" {error}') from error


def _list(value: Any, place: Place) -> list[Any]:
    if not isinstance(value, list) or not value:
        raise _FaultFoundError(place, f"{shown(value)} is not a list of schemas; give at least one")
    return value


def _mapping(value: Any, place: Place) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise _FaultFoundError(place, f"{shown(value)} is not of type 'object'")
    return value


def _text(value: Any, place: Place) -> str:
    if not isinstance(value, str):
        raise _FaultFoundError(place, f"{shown(value)} is not of type 'string'")
    return value


def _check_text(value: Any, place: Place, steps: Steps) -> None:
    _text(value, place)


def _check_flag(value: Any, place: Place, steps: Steps) -> None:
    if not isinstance(value, bool):
        raise _FaultFoundError(place, f"{shown(value)} is not of type 'boolean'")


def _check_number(value: Any, place: Place, steps: Steps) -> None:
    if not is_finite(value):
        raise _FaultFoundError(place, f"{shown(value)} is not of type 'number'")


def _check_divisor(value: Any, place: Place, steps: Steps) -> None:
    _check_number(value, place, steps)
    if value <= 0:
        raise _FaultFoundError(place, f"{shown(value)} is not more than 0")


def _check_count(value: Any, place: Place, steps: Steps) -> None:
    if not is_count(value):
        raise _FaultFoundError(place, f"{shown(value)} is not a whole number of 0 or more")


def _check_names(value: Any, place: Place, steps: Steps) -> None:
    if not isinstance(value, list):
        raise _FaultFoundError(place, f"{shown(value)} is not of type 'array'")
    steps.take(len(value))
    for index, name in enumerate(value):
        _text(name, (place, index))
    if len(set(value)) < len(value):
        raise _FaultFoundError(place, f"{shown(value)} names something twice")


def _check_dependent(value: Any, place: Place, steps: Steps) -> None:
    for name, names in _mapping(value, place).items():
        steps.take(4)
        _check_names(names, (place, name), steps)


def _check_array(value: Any, place: Place, steps: Steps) -> None:
    if not isinstance(value, list):
        raise _FaultFoundError(place, f"{shown(value)} is not of type 'array'")


def _check_type(value: Any, place: Place, steps: Steps) -> None:
    named = value if isinstance(value, list) else [value]
    steps.take(len(named))
    known = all(isinstance(name, str) and name in TYPES for name in named)
    if not named or not known or len(set(named)) < len(named):
        message = f"{json.dumps(value)} is no type; write {', '.join(TYPES)}, or a list of different ones"
        raise _FaultFoundError(place, message)


def _check_dialect(value: Any, place: Place, steps: Steps) -> None:
    if value != DIALECT:
        raise _FaultFoundError(place, f'must be "{DIALECT}" or absent')


def _refuse(advice: str) -> _Check:
    def refuse(value: Any, place: Place, steps: Steps) -> None:
        raise _FaultFoundError(place, f"is not supported; {advice}")

    return refuse


_CHECKS: Mapping[str, _Check] = MappingProxyType(
    {
        **dict.fromkeys(_TEXTS, _check_text),
        **dict.fromkeys(_FLAGS, _check_flag),
        **dict.fromkeys(_NUMBERS, _check_number),
        **dict.fromkeys(_COUNTS, _check_count),
        **dict.fromkeys(("enum", "examples"), _check_array),
        **{keyword: _refuse(advice) for keyword, advice in _NOT_SUPPORTED.items()},
        "multipleOf": _check_divisor,
        "required": _check_names,
        "dependentRequired": _check_dependent,
        "type": _check_type,
        "$schema": _check_dialect,
    }
)
