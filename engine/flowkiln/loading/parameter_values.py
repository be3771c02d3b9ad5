"""Parse parameters from the command line, with errors that quote them as typed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from flowkiln.common.json_text import DuplicateKeyError, JsonError, read_json
from flowkiln.common.safe_text import shortened

if TYPE_CHECKING:
    from pydantic import JsonValue

    from flowkiln.api.flow import FlowSpec

_SHOWN = 80
"""Maximum number of characters of a raw value that a message quotes."""


@dataclass(frozen=True, slots=True)
class RawValue:
    """The value of a parameter as typed on a command line; its meaning depends on the parameter's schema."""

    text: str


def parse_raw(text: str, schema: Mapping[str, JsonValue]) -> JsonValue:
    """Return the value of raw text by a schema.

    If the schema asks for text, the value is the text. Otherwise it is JSON if it parses as JSON, else text. JSON of a
    type that the schema does not allow is text if the schema allows text. A number too large for a float is text.

    Raises:
        DuplicateKeyError: it is JSON, and an object in it has a duplicate key.
    """
    types = _types(schema)
    if types == {"string"}:
        return text
    try:
        value: JsonValue = read_json(text)
    except DuplicateKeyError:
        raise
    except JsonError:
        return text
    return text if "string" in types and not types & _types_of(value) else value


def parse_parameters(spec: FlowSpec, given: Mapping[str, Any]) -> tuple[dict[str, JsonValue], list[str]]:
    """Return the values by the schemas of a flow, and the problems of those that cannot be parsed."""
    values: dict[str, JsonValue] = {}
    problems: list[str] = []
    for name, value in given.items():
        parameter = spec.parameter(name)
        try:
            values[name] = parse_parameter_value(value, {} if parameter is None else parameter.json_schema)
        except DuplicateKeyError as error:
            problems.append(f"{parameter_label(name, value)}: {error}")
    return values, problems


def parse_parameter_value(value: Any, schema: Mapping[str, JsonValue]) -> Any:
    """Return the value of a parameter: raw text parsed by its schema, anything else unchanged."""
    return parse_raw(value.text, schema) if isinstance(value, RawValue) else value


def parameter_label(name: str, value: Any) -> str:
    """Return the label of a parameter in messages: `-p name=text`, or `parameters.name`."""
    return f"-p {name}={shortened(value.text, _SHOWN)}" if isinstance(value, RawValue) else f"parameters.{name}"


def _types(schema: Mapping[str, JsonValue]) -> set[str]:
    """Return the types that a schema names; empty if it names none."""
    match schema:
        case {"type": str(one)}:
            return {one}
        case {"type": list(several)}:
            return {one for one in several if isinstance(one, str)}
        case {"enum": list(values)}:
            return set().union(*map(_types_of, values))
        case {"const": value}:
            return _types_of(value)
        case _:
            return set()


def _types_of(value: JsonValue) -> set[str]:
    match value:
        case None:
            return {"null"}
        case bool():
            return {"boolean"}
        case int():
            return {"integer", "number"}
        case float():
            return {"integer", "number"} if value.is_integer() else {"number"}
        case str():
            return {"string"}
        case list():
            return {"array"}
        case dict():
            return {"object"}
