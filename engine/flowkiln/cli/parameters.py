"""Parameters of a run from the command line and from files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click
import yaml

from flowkiln.loading.yaml_text import complaint, read_yaml


def parse_parameter(text: str) -> tuple[str, Any]:
    """Split `name=value`; the value is JSON where it parses as JSON, else the text itself.

    Raises click.BadParameter without a `=` or without a name that is a Python identifier.
    """
    name, equals, value = text.partition("=")
    if not equals:
        raise click.BadParameter(f"{text!r} has no '='; write name=value")
    if not name.isidentifier():
        raise click.BadParameter(f"{name!r} is no name of a parameter; write name=value")
    return name, parse_value(value)


def parse_value(text: str) -> Any:
    """Read JSON; what is no JSON (NaN and Infinity are none) is text."""
    try:
        return json.loads(text, parse_constant=_refuse)
    except ValueError:
        return text


def read_parameters(path: Path) -> dict[str, Any]:
    """Read a file with one mapping of names to values, as YAML or JSON; raise click.BadParameter for anything else."""
    try:
        documents = read_yaml(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise click.BadParameter(f"{path} is neither YAML nor JSON: {complaint(error)}") from error
    match documents:
        case []:
            return {}
        case [dict() as values] if all(isinstance(name, str) for name in values):
            return values
        case _:
            raise click.BadParameter(f"{path} must hold one mapping of parameter names to values")


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON")
