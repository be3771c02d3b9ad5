"""Parameters, their schemas and values."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from flowkiln.api.flow import FlowSpec
from flowkiln.api.validation import resolve_parameters
from flowkiln.api.validation.json_schema import DIALECT, schema_error, value_error

from .tables import LOAD, flow_problems, run_problems

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
    assert resolve_parameters(FlowSpec.model_validate(FLOW), given_) == (values, ())


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
    assert resolve_parameters(spec, {"n": 1, "other": "x"}) == ({"n": 1, "other": "x"}, ())
    _, problems = resolve_parameters(spec, {"n": "1"})
    assert [problem.sentence for problem in problems] == ["parameters.n: '1' is not of type 'integer'"]


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
    assert flow_problems({"tasks": [LOAD], "parameters": [{"name": "p", **parameter}]}) == [sentence]


def doubling(depth: int) -> dict[str, Any]:
    """Make a small schema that takes 2^depth steps."""
    definitions: dict[str, Any] = {
        f"d{level}": {"allOf": [{"$ref": f"#/$defs/d{level + 1}"}] * 2} for level in range(depth)
    }
    return {"$defs": {**definitions, f"d{depth}": {}}, "$ref": "#/$defs/d0"}


@pytest.mark.parametrize(
    ("schema", "value", "message"),
    [
        ({"pattern": "^(a+)+$"}, "a" * 5000 + "!", "does not match"),
        ({"patternProperties": {"^(a+)+$": False}}, {"a" * 5000 + "!": 1}, None),
        ({"additionalProperties": False, "patternProperties": {"^(a+)+$": {}}}, {"a" * 5000 + "!": 1}, "not among"),
        (doubling(40), 1, "takes more than"),
        ({"$ref": "#"}, 1, "refers to itself without end"),
        ({"$ref": "http://127.0.0.1:1/schema"}, 1, 'refers to "http://127.0.0.1:1/schema"'),
        ({"$ref": "file:///etc/passwd"}, 1, 'refers to "file:///etc/passwd"'),
        ({"uniqueItems": True}, [*range(20_000), *(str(number) for number in range(20_000))], None),
        ({"items": {"allOf": [{}] * 50}}, [0] * 20_000, "takes more than"),
        ({"default": {"pattern": "^(a+)+$"}, "$ref": "#/default"}, "a" * 5000 + "!", "does not match"),
    ],
)
def test_no_schema_keeps_the_operator_busy(schema: dict[str, Any], value: Any, message: str | None) -> None:
    """Runaway expressions, exponential and endless schemas, and references to elsewhere end in a sentence, soon."""
    assert schema_error(schema) is None
    error = value_error(schema, value)
    assert (error is None) is (message is None)
    if error is not None and message is not None:
        assert message in error[1]
        assert len(error[1]) <= 300


def test_a_schema_cannot_leave_the_bounds_by_naming_a_dialect() -> None:
    """$schema inside of a schema would change the validator, wherever it hides."""
    hidden = {"enum": [{"$schema": DIALECT, "pattern": "^(a+)+$"}], "$ref": "#/enum/0"}
    assert schema_error(hidden) == ("", "can have $schema at its top only")
    assert schema_error({"$schema": DIALECT}) is None
    assert value_error({"$schema": DIALECT, "pattern": "^(a+)+$"}, "a" * 5000 + "!") is not None


def test_deep_nesting_is_a_problem_and_no_crash() -> None:
    """Schemas and values nested past Python's stack get a sentence."""
    schema: dict[str, Any] = {}
    for _ in range(3000):
        schema = {"not": schema}
    assert schema_error(schema) == ("", "is nested too deeply")


@pytest.mark.parametrize(
    ("format_", "right", "wrong"),
    [
        ("date", "2015-02-28", "2015-02-30"),
        ("date-time", "2015-02-28T12:00:00Z", "2015-02-28T12:00:00"),
        ("email", "a@example.org", "example.org"),
        ("ipv4", "192.0.2.1", "192.0.2.256"),
        ("uuid", "123e4567-e89b-12d3-a456-426614174000", "123"),
    ],
)
def test_formats_are_checked(format_: str, right: str, wrong: str) -> None:
    """A format that a schema names means something."""
    assert value_error({"format": format_}, right) is None
    assert value_error({"format": format_}, wrong) is not None


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-3, 3)
    | st.sampled_from([0.0, 1.0, 1.5])
    | st.sampled_from(["", "a", "ab"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=6,
)
json_schemas = st.recursive(
    st.booleans() | st.just({}),
    lambda inner: st.fixed_dictionaries(
        {},
        optional={
            "type": st.sampled_from(["null", "boolean", "integer", "number", "string", "array", "object"]),
            "properties": st.dictionaries(st.sampled_from("abc"), inner, max_size=2),
            "patternProperties": st.dictionaries(st.sampled_from(["^a", "b$", "."]), inner, max_size=2),
            "additionalProperties": inner,
            "items": inner,
            "uniqueItems": st.booleans(),
            "pattern": st.sampled_from(["^a", "b$", "a|b"]),
            "anyOf": st.lists(inner, min_size=1, max_size=2),
            "not": inner,
            "minimum": st.integers(-2, 2),
        },
    ),
    max_leaves=8,
)


@given(json_schemas.filter(lambda schema: isinstance(schema, dict)), json_values)
@settings(max_examples=300, deadline=None)
def test_bounds_change_no_answer(schema: dict[str, Any], value: Any) -> None:
    """What is valid is what the unbounded validator says: our own keywords mean the same."""
    assert (value_error(schema, value) is None) == Draft202012Validator(schema).is_valid(value)


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
        values, problems = resolve_parameters(spec, parameters)
        assert problems == ()
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
    assert flow_problems(flow) == [f"spec.parameters[0].default: {said}"]
    run = {"flowRef": {"name": "x"}, "parameters": {"n": value}}
    assert run_problems(run) == [f"spec.parameters: {said}"]
