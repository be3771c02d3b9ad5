"""Parameters: schemas are valid, defaults satisfy them, and so does what a run is given."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from pydantic import JsonValue

from flowkiln.api.flow import FlowSpec, ParameterSpec
from flowkiln.api.validation.integers import with_integers
from flowkiln.api.validation.json_schema import Fault, Schema, Steps, TooManyStepsError, compare, read_schema
from flowkiln.api.validation.problem import Problem, no_such
from flowkiln.api.validation.sizes import schema_is_too_large


@dataclass(slots=True)
class ParameterChecks:
    """Compares parameters with their schemas, within one budget of steps for all of them.

    A schema is read once. After the budget is used up nothing more is compared, and each parameter that was not
    compared has that as its problem.
    """

    steps: Steps = field(default_factory=Steps)
    _schemas: dict[str, Schema | Fault] = field(default_factory=dict)

    def schema_fault(self, parameter: ParameterSpec) -> Fault | None:
        """Return what is wrong with a parameter's schema."""
        found = self._read(parameter)
        return found if isinstance(found, Fault) else None

    def value_fault(self, parameter: ParameterSpec, value: JsonValue) -> Fault | None:
        """Return why a value does not satisfy a parameter's schema; None also if the schema itself is invalid."""
        schema = self._read(parameter)
        if isinstance(schema, Fault):
            return None
        try:
            return compare(schema, value, self.steps)
        except TooManyStepsError:
            return self._too_costly()

    def _read(self, parameter: ParameterSpec) -> Schema | Fault:
        if parameter.name not in self._schemas:
            try:
                self._schemas[parameter.name] = read_schema(parameter.json_schema, self.steps)
            except TooManyStepsError:
                self._schemas[parameter.name] = self._too_costly()
        return self._schemas[parameter.name]

    def _too_costly(self) -> Fault:
        return Fault(
            "",
            f"to compare all parameters with their schemas takes more than {self.steps.limit} steps; "
            "simplify the schemas, or pass large data by reference, such as a URL",
        )


def check_parameters(spec: FlowSpec, checks: ParameterChecks) -> Iterator[Problem]:
    """Check each parameter's schema, and its default against it."""
    for index, parameter in enumerate(spec.parameters):
        at = f"parameters[{index}]"
        if parameter.default is not None and parameter.optional:
            yield Problem(f"{at}.optional", "means nothing beside a default; leave one of them out")
        if schema_is_too_large(parameter):
            continue
        if fault := checks.schema_fault(parameter):
            yield Problem(f"{at}.schema{fault.path}", fault.message)
        elif parameter.default is not None and (fault := checks.value_fault(parameter, parameter.default)):
            yield Problem(f"{at}.default{fault.path}", fault.message)


def resolve_parameters(spec: FlowSpec, given: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    """Return the values that a run has, with defaults filled in.

    A null counts as not given. A whole number is an int where the schema asks for an integer: 5.0 is 5. Optional
    parameters without a value are left out. With an entrypoint the code may declare parameters that the spec does not,
    so unknown ones are passed on.
    """
    known = {parameter.name for parameter in spec.parameters}
    values: dict[str, JsonValue] = {
        name: value
        for name, value in given.items()
        if name not in known and value is not None and spec.entrypoint is not None
    }
    for parameter in spec.parameters:
        own = given.get(parameter.name)
        value = parameter.default if own is None else own
        if value is not None:
            values[parameter.name] = with_integers(parameter.json_schema, value)
    return values


def check_values(spec: FlowSpec, given: Mapping[str, JsonValue], checks: ParameterChecks) -> Iterator[Problem]:
    """Check what a run is given for the parameters of its flow. Problems' fields start with `parameters`."""
    known = [parameter.name for parameter in spec.parameters]
    if spec.entrypoint is None:
        for name, value in given.items():
            if value is not None and name not in known:
                yield Problem(f"parameters.{name}", no_such("parameter", name, known))
    for parameter in spec.parameters:
        value = given.get(parameter.name)
        if value is None:
            if parameter.is_required:
                yield Problem(f"parameters.{parameter.name}", "is required, and the run gives no value")
        elif not schema_is_too_large(parameter) and (fault := checks.value_fault(parameter, value)):
            yield Problem(f"parameters.{parameter.name}{fault.path}", fault.message)
