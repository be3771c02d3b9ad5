"""JSON Schemas of Flow and FlowRun for editors: `python -m flowkiln.api.editor_schema [--check] [DIRECTORY]`.

Made from the schemas of the CustomResourceDefinitions, so that an editor offers and refuses what the API server does.
Two things differ: JSON Schema has no CEL (of the rules there only "exactly one of these fields" is carried over; for
the others there is `flowkiln lint`), and a field that nobody knows is an error here, where the API server drops it.

The files have the names by which kubeconform and collections of such schemas look for them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from flowkiln.api import API_VERSION, VERSION
from flowkiln.api.crds import RESOURCES, CustomResource, custom_resource_definition
from flowkiln.api.generated import generator

Schema = dict[str, Any]

DIALECT = "http://json-schema.org/draft-07/schema#"
"""The newest dialect that yaml-language-server and kubeconform both read."""

_KUBERNETES_PREFIX = "x-kubernetes-"
_FREE_FORM = "x-kubernetes-preserve-unknown-fields"
_EXACTLY_ONE = re.compile(r"\[(has\(self\.\w+\)(?:, has\(self\.\w+\))*)\]\.exists_one\(given, given\)")
_METADATA: Schema = {
    "type": "object",
    "description": "Name, namespace, labels and annotations of the object.",
    "anyOf": [{"required": ["name"]}, {"required": ["generateName"]}],
    "properties": {
        "name": {"type": "string", "maxLength": 253, "description": "Name of the object, unique in its namespace."},
        "generateName": {
            "type": "string",
            "maxLength": 253,
            "description": "Beginning of a name that the API server completes; for `kubectl create` only.",
        },
        "namespace": {"type": "string", "maxLength": 63, "description": "Namespace of the object."},
        "labels": {
            "type": "object",
            "additionalProperties": {"type": "string"},
            "description": "What the object can be selected by.",
        },
        "annotations": {
            "type": "object",
            "additionalProperties": {"type": "string"},
            "description": "Anything else that people or tools note on the object.",
        },
    },
}


def file_name(resource: CustomResource) -> str:
    """Return the name of the file with a kind's schema."""
    return f"{resource.singular}_{VERSION}.json"


def editor_schema(resource: CustomResource) -> Schema:
    """Return the JSON Schema of a kind's documents."""
    (version,) = custom_resource_definition(resource)["spec"]["versions"]
    structural = version["schema"]["openAPIV3Schema"]
    properties: Schema = {
        "apiVersion": {"const": API_VERSION, "description": "Group and version of the kind."},
        "kind": {"const": resource.kind, "description": resource.description},
        "metadata": _METADATA,
        "spec": _converted(structural["properties"]["spec"]),
    }
    if resource.status is not None:
        properties["status"] = {"type": "object", "description": "Written by Flowkiln; leave it out of files."}
    return {
        "$schema": DIALECT,
        "title": resource.kind,
        "description": resource.description,
        "type": "object",
        "required": ["apiVersion", "kind", "metadata", "spec"],
        "additionalProperties": False,
        "properties": properties,
    }


def render(resource: CustomResource) -> str:
    """Return the text of the generated file of a kind."""
    return json.dumps(editor_schema(resource), indent=2, ensure_ascii=False) + "\n"


def _converted(structural: Schema) -> Schema:
    schema = {key: value for key, value in structural.items() if not key.startswith(_KUBERNETES_PREFIX)}
    if schema.get("type") == "integer":
        schema.pop("format", None)  # int64 and the like are OpenAPI's words
    if "properties" in schema:
        schema["properties"] = {name: _converted(field) for name, field in schema["properties"].items()}
        schema["additionalProperties"] = bool(structural.get(_FREE_FORM))
    elif isinstance(schema.get("additionalProperties"), dict):
        schema["additionalProperties"] = _converted(schema["additionalProperties"])
    if "items" in schema:
        schema["items"] = _converted(schema["items"])
    choices = [{"oneOf": [{"required": [field]} for field in fields]} for fields in _exclusive_fields(structural)]
    return schema | ({"allOf": choices} if choices else {})


def _exclusive_fields(structural: Schema) -> Iterator[list[str]]:
    """Yield the groups of fields of which a rule demands exactly one."""
    for rule in structural.get("x-kubernetes-validations", ()):
        if found := _EXACTLY_ONE.fullmatch(rule["rule"]):
            yield re.findall(r"self\.(\w+)", found[1])


main = generator(
    "the JSON Schemas",
    Path("schemas"),
    lambda: {file_name(resource): render(resource) for resource in RESOURCES},
)


if __name__ == "__main__":
    main()
