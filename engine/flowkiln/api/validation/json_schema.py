"""JSON Schema (draft 2020-12) for values of strangers: the work is bounded, and nothing is fetched.

Whoever writes a flow writes both schema and default, so neither may keep the operator busy: regular expressions run on
an engine whose time is linear, the number of steps is limited, and a `$ref` leads nowhere but into the schema itself.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from functools import lru_cache
from itertools import islice
from typing import Any

from jsonschema import Draft202012Validator, FormatChecker
from jsonschema.exceptions import SchemaError, ValidationError, best_match
from jsonschema.validators import extend
from pydantic import JsonValue
from pydantic_core import SchemaError as PatternError
from pydantic_core import SchemaValidator, core_schema
from referencing import Registry
from referencing.exceptions import Unresolvable

DIALECT = "https://json-schema.org/draft/2020-12/schema"
MAX_STEPS = 100_000
"""Keywords and subschemas that one check may evaluate: a second or two."""

_MAX_ERRORS = 50
_MAX_MESSAGE = 300
_KEPT_END = 100
_FOR_EACH_ITEM = ("items", "contains", "additionalProperties", "propertyNames", "patternProperties")
_NOT_UNDERSTOOD = ("unevaluatedItems", "unevaluatedProperties")
_TYPES = ("array", "boolean", "integer", "null", "number", "object", "string")
_DATA_KEYWORDS = ("enum", "const", "default", "examples")

Keyword = Callable[[Any, Any, Any, Any], Iterator[ValidationError] | None]


class _TooCostlyError(Exception):
    """A check took more steps than it may."""


def schema_error(schema: Mapping[str, JsonValue]) -> tuple[str, str] | None:
    """Say what is wrong with a schema: the path inside it (`.properties.x` or empty) and a message; None if valid."""
    try:
        return _dialect_error(schema) or _keyword_error(schema, "") or _metaschema_error(schema)
    except RecursionError:
        return "", "is nested too deeply"


def value_error(schema: Mapping[str, JsonValue], value: JsonValue) -> tuple[str, str] | None:
    """Say why a value does not satisfy a valid schema: the path inside the value and a message; None if it does."""
    # A validator changes its class where it meets "$schema", and the bounds with it.
    root = {key: part for key, part in schema.items() if key != "$schema"}
    validator = _bounded_validator()(root, registry=Registry(), format_checker=_FORMATS)
    try:
        error = best_match(islice(validator.iter_errors(value), _MAX_ERRORS))
    except _TooCostlyError:
        return "", f"takes more than {MAX_STEPS} steps to compare with its schema; simplify the schema"
    except RecursionError:
        return "", "cannot be compared with its schema: it refers to itself without end, or is nested too deeply"
    except Unresolvable as unresolvable:
        return "", f'its schema refers to "{unresolvable.ref}", which is not in the schema itself'
    if error is None:
        return None
    return _path(error), _cut(error.message)


def _dialect_error(schema: Mapping[str, JsonValue]) -> tuple[str, str] | None:
    if schema.get("$schema", DIALECT) != DIALECT:
        return ".$schema", f'must be "{DIALECT}" or absent'
    if any(_mentions_dialect(part) for part in schema.values()):
        return "", "can have $schema at its top only"
    return None


def _mentions_dialect(part: JsonValue) -> bool:
    match part:
        case dict():
            return isinstance(part.get("$schema"), str) or any(map(_mentions_dialect, part.values()))
        case list():
            return any(map(_mentions_dialect, part))
        case _:
            return False


def _keyword_error(part: Any, path: str) -> tuple[str, str] | None:
    """Find keywords that are not understood here, and regular expressions that are none."""
    match part:
        case Mapping():
            for key, inner in part.items():
                where = f"{path}.{key}"
                if key in _NOT_UNDERSTOOD:
                    return where, "is not supported; use additionalProperties or items"
                if key == "pattern" and isinstance(inner, str) and (complaint := _pattern_complaint(inner)):
                    return where, complaint
                if key == "patternProperties" and isinstance(inner, Mapping):
                    for pattern in inner:
                        if complaint := _pattern_complaint(pattern):
                            return where, complaint
                if key not in _DATA_KEYWORDS and (error := _keyword_error(inner, where)):
                    return error
        case list():
            for index, inner in enumerate(part):
                if error := _keyword_error(inner, f"{path}[{index}]"):
                    return error
    return None


def _metaschema_error(schema: Mapping[str, JsonValue]) -> tuple[str, str] | None:
    try:
        Draft202012Validator.check_schema(schema, format_checker=FormatChecker(formats=()))
    except SchemaError as error:
        return _path(error), _cut(_type_complaint(error) or error.message)
    return None


def _type_complaint(error: SchemaError) -> str | None:
    """Name the types where one is misspelt; the metaschema's own message would only say that it is."""
    if list(error.schema_path)[-2:] != ["type", "anyOf"]:
        return None
    return f"{json.dumps(error.instance)} is no type; write {', '.join(_TYPES)}, or a list of different ones"


def _bounded_validator() -> Any:
    """Make a validator class that counts its steps; one for each check, since the count is its own."""
    steps = 0

    def counted(name: str, keyword: Keyword) -> Keyword:
        def count(validator: Any, value: Any, instance: Any, schema: Any) -> Iterator[ValidationError] | None:
            nonlocal steps
            steps += _size(value) * (_size(instance) if name in _FOR_EACH_ITEM else 1)
            if steps > MAX_STEPS:
                raise _TooCostlyError
            return keyword(validator, value, instance, schema)

        return count

    keywords: dict[str, Keyword] = {
        **Draft202012Validator.VALIDATORS,
        "pattern": _pattern,
        "patternProperties": _pattern_properties,
        "additionalProperties": _additional_properties,
        "uniqueItems": _unique_items,
    }
    return extend(  # type: ignore[no-untyped-call]
        Draft202012Validator, {name: counted(name, keyword) for name, keyword in keywords.items()}
    )


def _size(value: object) -> int:
    """Count a value and its parts: subschemas without keywords take time too, and nothing else counts them."""
    return 1 + len(value) if isinstance(value, (list, dict)) else 1


@lru_cache(maxsize=256)
def _matcher(pattern: str) -> SchemaValidator:
    return SchemaValidator(core_schema.str_schema(pattern=pattern))


def _pattern_complaint(pattern: str) -> str | None:
    try:
        _matcher(pattern)
    except PatternError:
        return f'"{_cut(pattern)}" is no regular expression; look-around and back-references are not understood either'
    return None


def _matches(pattern: str, text: str) -> bool:
    try:
        return bool(_matcher(pattern).isinstance_python(text))
    except PatternError:
        return False


def _pattern(validator: Any, pattern: str, instance: Any, schema: Any) -> Iterator[ValidationError]:
    if validator.is_type(instance, "string") and not _matches(pattern, instance):
        yield ValidationError(f"{instance!r} does not match {pattern!r}")


def _pattern_properties(validator: Any, patterns: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
    if not validator.is_type(instance, "object"):
        return
    for pattern, subschema in patterns.items():
        for key, value in instance.items():
            if _matches(pattern, key):
                yield from validator.descend(value, subschema, path=key, schema_path=pattern)


def _additional_properties(validator: Any, allowed: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
    if not validator.is_type(instance, "object"):
        return
    named, patterns = schema.get("properties", {}), schema.get("patternProperties", {})
    for key, value in instance.items():
        if key in named or any(_matches(pattern, key) for pattern in patterns):
            continue
        if allowed is False:
            yield ValidationError(f"{key!r} is not among the properties that the schema allows")
        elif allowed is not True:
            yield from validator.descend(value, allowed, path=key)


def _unique_items(validator: Any, wanted: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
    if not wanted or not validator.is_type(instance, "array"):
        return
    seen: dict[str, int] = {}
    for index, item in enumerate(instance):
        first = seen.setdefault(_canonical(item), index)
        if first != index:
            yield ValidationError(f"items {first} and {index} are equal")
            return


def _canonical(value: JsonValue) -> str:
    """Give equal JSON values equal texts: 1 and 1.0 are one number, true and 1 are not."""
    return json.dumps(_with_whole_numbers(value), sort_keys=True)


def _with_whole_numbers(value: JsonValue) -> JsonValue:
    match value:
        case float() if value.is_integer():
            return int(value)
        case list():
            return [_with_whole_numbers(item) for item in value]
        case dict():
            return {key: _with_whole_numbers(item) for key, item in value.items()}
        case _:
            return value


_FORMATS = FormatChecker(formats=("date", "email", "ipv4", "ipv6", "uuid"))


@_FORMATS.checks("date-time", raises=ValueError)
def _is_date_time(instance: object) -> bool:
    return not isinstance(instance, str) or datetime.fromisoformat(instance).tzinfo is not None


def _path(error: ValidationError | SchemaError) -> str:
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in error.absolute_path)


def _cut(message: str) -> str:
    """Shorten a message that quotes a long value; what is wrong with the value stands at its end."""
    if len(message) <= _MAX_MESSAGE:
        return message
    return f"{message[: _MAX_MESSAGE - _KEPT_END - 3]} … {message[-_KEPT_END:]}"
