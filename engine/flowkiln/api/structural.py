"""Turn pydantic models into the structural OpenAPI v3 schemas that a CustomResourceDefinition takes.

Structural schemas know no references, no null, no defaults that only a program applies, and no rules about the names
of map entries; what a model says about those is inlined, dropped, or moved into the description.
Field descriptions are the documentation of `kubectl explain`, so a field without one is an error.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from flowkiln.api.model import has_type

Schema = dict[str, Any]

_FREE_FORM: Schema = {"x-kubernetes-preserve-unknown-fields": True}
_KEPT_AS_THEY_ARE = (
    "type",
    "format",
    "enum",
    "pattern",
    "minLength",
    "maxLength",
    "minimum",
    "maximum",
    "minItems",
    "maxItems",
    "maxProperties",
    "required",
    "oneOf",
    "x-kubernetes-list-type",
    "x-kubernetes-list-map-keys",
    "x-kubernetes-map-type",
    "x-kubernetes-validations",
)
_SCALARS = (str, int, bool)


class SchemaError(TypeError):
    """A model has something that a structural schema cannot say, or lacks a description or a bound."""


def structural_schema(model: type[BaseModel]) -> Schema:
    """Return the structural schema of a model.

    Raises SchemaError for fields without description, strings, lists or maps without bounds, and for unions
    other than `X | None` and integer-or-string.
    """
    document = model.model_json_schema(by_alias=True, mode="validation")
    return _Converter(document.get("$defs", {})).convert(document, model.__name__)


class _Converter:
    def __init__(self, definitions: Mapping[str, Schema]) -> None:
        self._definitions = definitions

    def convert(self, source: Schema, path: str) -> Schema:
        """Convert one schema; `path` is only for messages."""
        source = self._resolved(source)
        if not has_type(source):
            return _described(dict(_FREE_FORM), source)
        if "anyOf" in source:
            return _described(self._union(source["anyOf"], path), source)
        schema = _described({key: source[key] for key in _KEPT_AS_THEY_ARE if key in source}, source)
        match source.get("type"):
            case "object":
                schema |= self._object(source, path)
            case "array":
                _require(source, "maxItems", path)
                schema["items"] = self._bounded_item(source["items"], path)
            case "string":
                if "enum" not in source:
                    _require(source, "maxLength", path)
            case "integer":
                schema.setdefault("format", "int64")
            case "boolean":
                pass
            case other:
                raise SchemaError(f"{path}: a structural schema cannot have type {other!r}")
        return schema

    def _resolved(self, source: Schema) -> Schema:
        """Follow a reference, and drop the null of an optional field; what stands beside them wins."""
        if "anyOf" in source:
            options = [option for option in source["anyOf"] if option.get("type") != "null"]
            beside = {key: value for key, value in source.items() if key != "anyOf"}
            source = beside | {"anyOf": options} if len(options) > 1 else options[0] | beside
        if "$ref" in source:
            target = self._resolved(self._definitions[source["$ref"].removeprefix("#/$defs/")])
            return target | {key: value for key, value in source.items() if key != "$ref"}
        return source

    def _object(self, source: Schema, path: str) -> Schema:
        if "properties" in source:
            properties = {}
            for name, field in source["properties"].items():
                where = f"{path}.{name}"
                properties[name] = self.convert(field, where)
                _require(properties[name], "description", where)
            return {"properties": properties}
        _require(source, "maxProperties", path)
        named: list[Schema] = list(source.get("patternProperties", {}).values())
        values: Schema | bool = named[0] if named else source.get("additionalProperties", True)
        if isinstance(values, bool) or not has_type(self._resolved(values)):
            # Not additionalProperties without a type: CEL cannot see a map of those, so no rule could name the field.
            return dict(_FREE_FORM)
        return {"additionalProperties": self.convert(values, f"{path}[*]")}

    def _bounded_item(self, source: Schema, path: str) -> Schema:
        item = self._resolved(source)
        if item.get("type") == "object" and "properties" not in item:
            item = {"maxProperties": 32} | item
        return self.convert(item, f"{path}[]")

    def _union(self, options: list[Schema], path: str) -> Schema:
        by_type = {option.get("type"): option for option in options}
        if set(by_type) != {"integer", "string"}:
            raise SchemaError(f"{path}: only the union of integer and string has a structural schema")
        _require(by_type["string"], "maxLength", path)
        bounds = {key: value for option in options for key, value in option.items() if key != "type"}
        kept = {key: value for key, value in bounds.items() if key in _KEPT_AS_THEY_ARE}
        return {"anyOf": [{"type": "integer"}, {"type": "string"}], "x-kubernetes-int-or-string": True} | kept


def _described(schema: Schema, source: Schema) -> Schema:
    description = source.get("description")
    if not description:
        return schema
    default = source.get("default")
    if default is False and not description.endswith("Default: false."):
        description += " Default: false."
    elif isinstance(default, _SCALARS) and default != "" and default is not False:
        description += f" Default: {str(default).lower() if isinstance(default, bool) else default}."
    return {"description": " ".join(description.split())} | schema


def _require(schema: Schema, key: str, path: str) -> None:
    if key not in schema:
        raise SchemaError(f"{path}: {key} is missing")
