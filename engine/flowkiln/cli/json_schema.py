"""Generate the JSON Schema of `flowkiln run --json`: `python -m flowkiln.cli.json_schema [--check] [DIRECTORY]`."""

from __future__ import annotations

import inspect
import json
from pathlib import Path
from typing import Any

from pydantic import ConfigDict, TypeAdapter

from flowkiln.api.generated import generator
from flowkiln.cli.json_outcome import FailureOutcome, RunOutcome, TaskOutcome, camel_case

FILE_NAME = "run_outcome_v1.json"
SHAPES = {shape.__name__: shape for shape in (RunOutcome, TaskOutcome, FailureOutcome)}


def schema() -> dict[str, Any]:
    """Return the schema. Fields that it does not name may be added by later versions."""
    for shape in SHAPES.values():
        # This attribute sets pydantic's configuration of a dataclass; the command line itself does not use pydantic.
        settings = ConfigDict(use_attribute_docstrings=True, alias_generator=camel_case)
        setattr(shape, "__pydantic_config__", settings)  # noqa: B010 (a type checker knows no such attribute)
    made = TypeAdapter(RunOutcome).json_schema()
    definitions = {name: _described(part, name) for name, part in made.pop("$defs").items()}
    document = {"$defs": definitions, **_described(made, RunOutcome.__name__)}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **_plain(document)}


def _described(part: dict[str, Any], name: str) -> dict[str, Any]:
    """Add the docstring of the class, which pydantic before 2.13 omits."""
    return {"description": inspect.getdoc(SHAPES[name]), **part}


def _plain(part: Any) -> Any:
    """Remove titles, which only repeat names, and join the lines of descriptions."""
    if isinstance(part, list):
        return [_plain(one) for one in part]
    if not isinstance(part, dict):
        return part
    return {
        key: " ".join(value.split()) if key == "description" and isinstance(value, str) else _plain(value)
        for key, value in part.items()
        if key != "title"
    }


main = generator(
    "the JSON Schema of outcomes",
    Path("schemas"),
    lambda: {FILE_NAME: json.dumps(schema(), indent=2, ensure_ascii=False) + "\n"},
)


if __name__ == "__main__":
    main()
