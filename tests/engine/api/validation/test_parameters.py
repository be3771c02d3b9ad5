"""Parameters, their schemas and values."""

from __future__ import annotations

from typing import Any

import pytest

from flowkiln.api.flow import FlowSpec
from flowkiln.api.flow_run import FlowRunSpec
from flowkiln.api.validation import (
    ParameterChecks,
    check_flow_run,
    flow_problems,
    flow_run_problems,
    resolve_parameters,
)
from flowkiln.api.validation.json_schema import DIALECT, MAX_STEPS

from .tables import LOAD, run_problems
from .tables import flow_problems as flow_sentences

FLOW = {
    "tasks": [LOAD],
    "parameters": [
        {"name": "year", "schema": {"type": "integer", "minimum": 1900}, "default": 2015},
        {"name": "unit", "schema": {"enum": ["celsius", "fahrenheit"]}},
        {"name": "note", "optional": True},
    ],
}


@pytest.mark.parametrize(
    ("given_", "values"),
    [
        ({"unit": "celsius"}, {"year": 2015, "unit": "celsius"}),
        ({"unit": "celsius", "year": 1999, "note": "x"}, {"year": 1999, "unit": "celsius", "note": "x"}),
        ({"unit": "celsius", "year": None, "note": None}, {"year": 2015, "unit": "celsius"}),
    ],
)
def test_values_are_what_is_given_and_defaults(given_: dict[str, Any], values: dict[str, Any]) -> None:
    """Defaults fill gaps, a null is a gap, and optional parameters without a value are left out."""
    assert resolve_parameters(FlowSpec.model_validate(FLOW), given_) == values
    assert run_problems({"flowRef": {"name": "x"}, "parameters": given_}, FLOW) == []


@pytest.mark.parametrize(
    ("given_", "sentences"),
    [
        ({}, ["spec.parameters.unit: is required, and the run gives no value"]),
        ({"unit": None}, ["spec.parameters.unit: is required, and the run gives no value"]),
        ({"unit": "kelvin"}, ["spec.parameters.unit: 'kelvin' is not one of ['celsius', 'fahrenheit']"]),
        (
            {"unit": "celsius", "yaer": 2016},
            ['spec.parameters.yaer: there is no parameter "yaer"; did you mean "year"?'],
        ),
        ({"unit": "celsius", "year": 1800}, ["spec.parameters.year: 1800 is less than the minimum of 1900"]),
        ({"unit": "celsius", "year": "1999"}, ["spec.parameters.year: '1999' is not of type 'integer'"]),
    ],
)
def test_what_a_run_gives_is_compared_with_its_flow(given_: dict[str, Any], sentences: list[str]) -> None:
    """Missing, unknown and unfitting values are told with their names."""
    assert run_problems({"flowRef": {"name": "x"}, "parameters": given_}, FLOW) == sentences


def test_code_may_have_parameters_that_the_spec_does_not_declare() -> None:
    """With an entrypoint, undeclared values are passed on, and declared ones are checked all the same."""
    spec = FlowSpec.model_validate({"entrypoint": "a:b", "parameters": [{"name": "n", "schema": {"type": "integer"}}]})
    assert resolve_parameters(spec, {"n": 1, "other": "x"}) == {"n": 1, "other": "x"}
    run = FlowRunSpec.model_validate({"flowRef": {"name": "x"}, "parameters": {"n": "1", "other": "x"}})
    sentences = [problem.sentence for problem in check_flow_run(run, spec)]
    assert sentences == ["spec.parameters.n: '1' is not of type 'integer'"]


@pytest.mark.parametrize(
    ("parameter", "sentence"),
    [
        (
            {"schema": {"type": "integr"}},
            'spec.parameters[0].schema.type: "integr" is no type; write array, boolean, integer, null, number, object, '
            "string, or a list of different ones",
        ),
        (
            {"schema": {"items": {"type": ["string", "string"]}}},
            'spec.parameters[0].schema.items.type: ["string", "string"] is no type; '
            "write array, boolean, integer, null, number, object, string, or a list of different ones",
        ),
        ({"schema": {"minimum": "3"}}, "spec.parameters[0].schema.minimum: '3' is not of type 'number'"),
        (
            {"schema": {"type": "integer"}, "default": "x"},
            "spec.parameters[0].default: 'x' is not of type 'integer'",
        ),
        (
            {"schema": {"items": {"required": ["id"]}}, "default": [{"id": 1}, {}]},
            "spec.parameters[0].default[1]: 'id' is a required property",
        ),
        (
            {"schema": {"properties": {"a": {"pattern": "(?=x)"}}}},
            'spec.parameters[0].schema.properties.a.pattern: "(?=x)" is no regular expression; '
            "look-around and back-references are not understood either",
        ),
        (
            {"schema": {"$schema": "http://json-schema.org/draft-07/schema#"}},
            f'spec.parameters[0].schema.$schema: must be "{DIALECT}" or absent',
        ),
        (
            {"schema": {"unevaluatedProperties": False}},
            "spec.parameters[0].schema.unevaluatedProperties: is not supported; use additionalProperties or items",
        ),
        (
            {"default": 1, "optional": True},
            "spec.parameters[0].optional: means nothing beside a default; leave one of them out",
        ),
        (
            {"schema": {"enum": ["x" * 17_000]}},
            "spec.parameters[0].schema: 17013 bytes of JSON are more than 16384; "
            "pass large data by reference, such as a URL",
        ),
    ],
)
def test_schemas_are_valid_and_defaults_satisfy_them(parameter: dict[str, Any], sentence: str) -> None:
    """A flow that no run could use is told apart at once, with the place inside of the schema or the value."""
    assert flow_sentences({"tasks": [LOAD], "parameters": [{"name": "p", **parameter}]}) == [sentence]


TOO_COSTLY = (
    f"to compare all parameters with their schemas takes more than {MAX_STEPS} steps; "
    "simplify the schemas, or pass large data by reference, such as a URL"
)
COSTLY = {"allOf": [{"uniqueItems": True}] * 600}
"""Twelve kilobytes that sort every value 600 times."""


def test_a_small_schema_cannot_keep_the_operator_busy() -> None:
    """A large value that is compared again and again ends in a sentence, and so does a default."""
    numbers = [*range(40_000)]
    flow = {"tasks": [LOAD], "parameters": [{"name": "p", "schema": COSTLY}]}
    run = {"flowRef": {"name": "x"}, "parameters": {"p": numbers}}
    assert run_problems(run, flow) == [f"spec.parameters.p: {TOO_COSTLY}"]
    flow["parameters"][0]["default"] = numbers  # type: ignore[index]
    assert flow_sentences(flow) == [f"spec.parameters[0].default: {TOO_COSTLY}"]


def test_all_parameters_of_a_run_share_one_budget() -> None:
    """What is within the limit one by one may be too much together: schemas, defaults and values count."""
    rows = [*range(1_500)]
    schema = {"items": {"type": "integer", "minimum": 0}}
    count = 10
    parameters = [{"name": f"p{number}", "schema": schema, "default": rows} for number in range(count)]
    flow = FlowSpec.model_validate({"tasks": [LOAD], "parameters": parameters})
    run = FlowRunSpec.model_validate({"flowRef": {"name": "x"}, "parameters": {f"p{n}": rows for n in range(count)}})
    alone = ParameterChecks()
    assert list(flow_problems(flow, checks=alone)) == []
    given = ParameterChecks()
    assert list(flow_run_problems(run, flow, given)) == []
    together = ParameterChecks()
    assert list(flow_run_problems(run, flow, together)) == []
    problems = [*flow_problems(flow, checks=together)]
    assert together.steps.taken > MAX_STEPS
    assert {problem.message for problem in problems} == {TOO_COSTLY}


def test_a_schema_is_read_once_for_a_run() -> None:
    """Its default and the run's value are compared with the same reading."""
    pattern = {"pattern": "^[a-z]{1,63}$"}
    flow = FlowSpec.model_validate({"tasks": [LOAD], "parameters": [{"name": "p", "schema": pattern, "default": "a"}]})
    run = FlowRunSpec.model_validate({"flowRef": {"name": "x"}, "parameters": {"p": "b"}})
    checks = ParameterChecks()
    assert list(flow_problems(flow, checks=checks)) == []
    once = checks.steps.taken
    assert list(flow_run_problems(run, flow, checks)) == []
    assert checks.steps.taken - once < once / 2


@pytest.mark.parametrize(
    ("schema", "given_", "arrived"),
    [
        ({"type": "integer"}, 5.0, 5),
        ({"type": "integer"}, 5, 5),
        ({"type": "number"}, 5.0, 5.0),
        ({}, 5.0, 5.0),
        ({"type": "array", "items": {"type": "integer"}}, [1.0, 2], [1, 2]),
        ({"prefixItems": [{"type": "integer"}, {}], "items": {"type": "integer"}}, [1.0, 2.0, 3.0], [1, 2.0, 3]),
        ({"properties": {"n": {"type": "integer"}}}, {"n": 1.0, "x": 1.0}, {"n": 1, "x": 1.0}),
        ({"additionalProperties": {"type": "integer"}}, {"n": 1.0}, {"n": 1}),
        ({"additionalProperties": False, "properties": {"n": {"type": "integer"}}}, {"n": 2.0}, {"n": 2}),
    ],
)
def test_an_integer_arrives_as_one(schema: dict[str, Any], given_: Any, arrived: Any) -> None:
    """JSON Schema takes 5.0 for an integer, and a function that asks for one gets an int: as a value and a default."""
    for parameter, parameters in (({}, {"n": given_}), ({"default": given_}, {})):
        spec = FlowSpec.model_validate({"tasks": [LOAD], "parameters": [{"name": "n", "schema": schema, **parameter}]})
        values = resolve_parameters(spec, parameters)
        assert repr(values["n"]) == repr(arrived)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (float("inf"), "holds infinity or NaN, which JSON cannot express"),
        ([{"a": float("nan")}], "holds infinity or NaN, which JSON cannot express"),
        ("\ud800", "holds half a character (a lone surrogate), which no encoding of Unicode knows"),
    ],
)
def test_what_json_cannot_express(value: Any, said: str) -> None:
    """It is a problem of the flow or the run, not an error when the plan is written."""
    flow = {"tasks": [LOAD], "parameters": [{"name": "n", "default": value}]}
    assert flow_sentences(flow) == [f"spec.parameters[0].default: {said}"]
    run = {"flowRef": {"name": "x"}, "parameters": {"n": value}}
    assert run_problems(run) == [f"spec.parameters: {said}"]
