"""Writes docs/reference.md from the models of the custom resources: `python docs/write_reference.py [--check]`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic.alias_generators import to_camel

from flowkiln.api import API_VERSION
from flowkiln.api.durations import DURATION_PATTERN, WHOLE_SECONDS_PATTERN
from flowkiln.api.flow import FlowSpec
from flowkiln.api.flow_run import MUTABLE_FIELDS, FlowRunSpec
from flowkiln.api.generated import generator
from flowkiln.api.model import CALLABLE_PATTERN, PERCENT_PATTERN, listed
from flowkiln.api.quantities import QUANTITY_PATTERN
from flowkiln.api.status import FlowRunStatus
from flowkiln.api.structural import structural_schema
from flowkiln.triggers import RULES

PAGE = "reference.md"

HEAD = f"""# Reference

<!-- Written by docs/write_reference.py from engine/flowkiln/api; `make generate` writes it anew. -->

The fields of Flow and FlowRun, `apiVersion: {API_VERSION}`. `x[]` is an item of the list `x`.
`kubectl explain flows.flowkiln.dev.spec.tasks` shows the same.
"""

_WORDS = {
    DURATION_PATTERN: "duration",
    WHOLE_SECONDS_PATTERN: "duration in whole seconds",
    CALLABLE_PATTERN: "`module:callable`",
    QUANTITY_PATTERN: "quantity",
    PERCENT_PATTERN: "number or share",
}
_TYPES = {"string": "text", "integer": "whole number", "boolean": "true or false", "object": "mapping", "array": "list"}

Schema = Mapping[str, Any]


def fields(model: type[BaseModel], *, without: str = "") -> Iterator[str]:
    """Yield the rows of a model's table; the parts of the field `without` are described elsewhere."""
    yield from ("| field | is a | description |", "|---|---|---|")
    for path, schema, required in _walk(structural_schema(model), ""):
        if not without or not path.startswith((f"{without}.", f"{without}[")):
            kind = f"{_kind(schema)}{', required' if required else ''}"
            yield f"| `{path}` | {kind} | {_escaped(schema.get('description', ''))} |"


def triggers() -> Iterator[str]:
    """Yield the rows of the trigger rules."""
    yield from ("| rule | does | takes | in Python |", "|---|---|---|---|")
    for rule in RULES.values():
        takes = " or ".join(f"`{to_camel(name)}`" for name in rule.parameters)
        yield f"| {rule.name} | {_escaped(rule.summary)} | {takes} | `triggers.{rule.function.__name__}` |"


def page() -> dict[str, str]:
    """Return the page by its name."""
    run = (
        f"`spec` is fixed when the run is created, except for {listed([f'`{name}`' for name in MUTABLE_FIELDS])}. The "
        "fields of `flowSpec` are those of a Flow's `spec`."
    )
    lines = [
        *("## Flow.spec", "", *fields(FlowSpec), ""),
        *("## Trigger rules", "", *triggers(), ""),
        *("## FlowRun.spec", "", run, "", *fields(FlowRunSpec, without="flowSpec"), ""),
        *("## FlowRun.status", "", "[status.md](status.md) explains it.", "", *fields(FlowRunStatus)),
    ]
    return {PAGE: HEAD + "\n" + "\n".join(lines) + "\n"}


def _walk(schema: Schema, path: str) -> Iterator[tuple[str, Schema, bool]]:
    for name, field in schema.get("properties", {}).items():
        here = f"{path}.{name}" if path else name
        yield here, field, name in schema.get("required", ())
        match field:
            case {"items": items}:
                yield from _walk(items, f"{here}[]")
            case _:
                yield from _walk(field, here)


def _kind(schema: Schema) -> str:
    if (word := _WORDS.get(schema.get("pattern", ""))) is not None:
        return word
    if "enum" in schema:
        return " or ".join(schema["enum"]) if len(schema["enum"]) < 3 else "one of several words"
    match schema:
        case {"format": "date-time"}:
            return "time"
        case {"items": items}:
            return f"list of {_plural(_kind(items))}"
        case {"additionalProperties": values}:
            return f"mapping to {_plural(_kind(values))}"
        case {"type": kind}:
            return _TYPES[kind]
        case _:
            return "anything"


def _plural(kind: str) -> str:
    return {"text": "texts", "quantity": "quantities", "anything": "anything"}.get(kind, f"{kind}s")


def _escaped(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;")


main = generator("the reference", Path(__file__).parent, page)

if __name__ == "__main__":
    main()
