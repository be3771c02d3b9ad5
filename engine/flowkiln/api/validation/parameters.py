"""Parameters: schemas are valid, defaults satisfy them, and so does what a run is given."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pydantic import JsonValue

from flowkiln.api.flow import FlowSpec, ParameterSpec
from flowkiln.api.validation.integers import with_integers
from flowkiln.api.validation.json_schema import schema_error, value_error
from flowkiln.api.validation.problem import Problem, no_such
from flowkiln.api.validation.sizes import schema_is_too_large


def check_parameters(spec: FlowSpec) -> Iterator[Problem]:
    """Check each parameter's schema, and its default against it."""
    for index, parameter in enumerate(spec.parameters):
        field = f"parameters[{index}]"
        if parameter.default is not None and parameter.optional:
            yield Problem(f"{field}.optional", "means nothing beside a default; leave one of them out")
        if schema_is_too_large(parameter):
            continue
        if error := schema_error(parameter.json_schema):
            yield Problem(f"{field}.schema{error[0]}", error[1])
        elif parameter.default is not None and (error := value_error(parameter.json_schema, parameter.default)):
            yield Problem(f"{field}.default{error[0]}", error[1])


def resolve_parameters(
    spec: FlowSpec, given: Mapping[str, JsonValue]
) -> tuple[dict[str, JsonValue], tuple[Problem, ...]]:
    """Give the values that a run has, with defaults filled in, and what is wrong with what it was given.

    A null counts as not given. A whole number is an int where the schema asks for an integer: 5.0 is 5. Optional
    parameters without a value are left out. With an entrypoint the code may declare parameters that the spec does not,
    so unknown ones are passed on. Problems' fields start with `parameters`.
    """
    values: dict[str, JsonValue] = {}
    problems: list[Problem] = []
    for name, value in given.items():
        if spec.parameter(name) is not None or value is None:
            continue
        if spec.entrypoint is None:
            known = [parameter.name for parameter in spec.parameters]
            problems.append(Problem(f"parameters.{name}", no_such("parameter", name, known)))
        else:
            values[name] = value
    for parameter in spec.parameters:
        value = given.get(parameter.name)
        if value is not None:
            problems += _check_value(parameter, value)
            values[parameter.name] = with_integers(parameter.json_schema, value)
        elif parameter.default is not None:
            values[parameter.name] = with_integers(parameter.json_schema, parameter.default)
        elif parameter.is_required:
            problems.append(Problem(f"parameters.{parameter.name}", "is required, and the run gives no value"))
    return values, tuple(problems)


def _check_value(parameter: ParameterSpec, value: JsonValue) -> Iterator[Problem]:
    if schema_is_too_large(parameter) or schema_error(parameter.json_schema):
        return  # the flow's own problem, told by check_parameters
    if error := value_error(parameter.json_schema, value):
        yield Problem(f"parameters.{parameter.name}{error[0]}", error[1])
