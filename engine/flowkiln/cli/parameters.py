"""Read the parameters of a run from the command line and from files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from flowkiln.loading.parameter_values import RawValue


def parse_parameter(text: str) -> tuple[str, RawValue]:
    """Split `name=value`; the value is read later, by the parameter's schema.

    Raises:
        click.BadParameter: there is no `=`, the name is not a Python identifier, or the value is not text.
    """
    name, equals, value = text.partition("=")
    if not equals:
        raise click.BadParameter(f"{text!r} has no '='; write name=value")
    if not name.isidentifier():
        raise click.BadParameter(f"{name!r} is not a valid parameter name; write name=value")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise click.BadParameter(f"the value of {name!r} is not UTF-8") from None
    return name, RawValue(value)


def read_parameters(path: Path) -> dict[str, Any]:
    """Read a file with one mapping of names to values, as YAML or JSON; raise click.BadParameter for anything else."""
    from flowkiln.loading.yaml_text import YamlError, read_text, read_yaml

    try:
        documents = read_yaml(read_text(path))
    except YamlError as error:
        place = f"{path}:{error.line}:{error.column}"
        raise click.BadParameter(f"{place}: cannot be read as YAML or JSON: {error.problem}") from error
    match [document.value for document in documents]:
        case []:
            return {}
        case [dict() as values]:
            return values
        case _:
            raise click.BadParameter(f"{path} must hold one mapping of parameter names to values")
