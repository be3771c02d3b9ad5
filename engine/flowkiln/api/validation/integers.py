"""Integers: for JSON Schema 5.0 is one, and Python's functions want an int where an integer is asked for."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import JsonValue


def with_integers(schema: JsonValue, value: JsonValue) -> JsonValue:
    """Return a value with whole floats as ints wherever the schema says `integer`, in lists and objects too."""
    if not isinstance(schema, Mapping):
        return value
    match value:
        case float() if value.is_integer() and schema.get("type") == "integer":
            return int(value)
        case list() if "items" in schema or "prefixItems" in schema:
            first = schema.get("prefixItems")
            first = first if isinstance(first, list) else []
            rest = schema.get("items")
            return [
                with_integers(first[index] if index < len(first) else rest, item) for index, item in enumerate(value)
            ]
        case dict() if "properties" in schema or "additionalProperties" in schema:
            named = schema.get("properties")
            named = named if isinstance(named, Mapping) else {}
            others = schema.get("additionalProperties")
            return {key: with_integers(named.get(key, others), part) for key, part in value.items()}
        case _:
            return value
