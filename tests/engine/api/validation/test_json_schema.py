"""Comparing values with JSON Schemas: the same answers as a validator without bounds, and no endless work."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from flowkiln.api.validation.json_schema import (
    DIALECT,
    MAX_STEPS,
    Fault,
    Schema,
    Steps,
    TooManyStepsError,
    compare,
    read_schema,
)
from flowkiln.api.validation.json_schema.patterns import Pattern, size_of

from .tables import calls_of


def fault_of(schema: dict[str, Any], value: Any) -> Fault | None:
    """Compare a value with a schema that has to be valid."""
    steps = Steps()
    read = read_schema(schema, steps)
    assert isinstance(read, Schema), read
    return compare(read, value, steps)


def nested(depth: int, inner: Callable[[Any], dict[str, Any]]) -> dict[str, Any]:
    """Put schemas into each other."""
    schema: dict[str, Any] = {}
    for _ in range(depth):
        schema = inner(schema)
    return schema


def doubling(depth: int) -> dict[str, Any]:
    """Make a small schema that takes 2^depth comparisons."""
    definitions: dict[str, Any] = {
        f"d{level}": {"allOf": [{"$ref": f"#/$defs/d{level + 1}"}] * 2} for level in range(depth)
    }
    return {"$defs": {**definitions, f"d{depth}": {}}, "$ref": "#/$defs/d0"}


@pytest.mark.parametrize(
    ("schema", "value", "fault"),
    [
        ({"type": ["string", "null"]}, 1, ("", "1 is not of type 'string', 'null'")),
        ({"enum": [[1, 2], {"a": True}]}, {"a": 1}, ("", "{'a': 1} is not one of [[1, 2], {'a': True}]")),
        ({"const": {"a": [1]}}, {"a": [2]}, ("", "{'a': [2]} is not {'a': [1]}")),
        ({"exclusiveMinimum": 0}, 0, ("", "0 is not more than 0")),
        ({"maximum": 3}, 4, ("", "4 is more than the maximum of 3")),
        ({"exclusiveMaximum": 3}, 3, ("", "3 is not less than 3")),
        ({"multipleOf": 0.1}, 0.35, ("", "0.35 is not a multiple of 0.1")),
        ({"minLength": 2}, "é", ("", "'é' has fewer than 2 characters")),
        ({"maxItems": 1}, [1, 2], ("", "[1, 2] has more than 1 items")),
        ({"minProperties": 1}, {}, ("", "{} has fewer than 1 properties")),
        ({"pattern": "^a+$"}, "ab", ("", "'ab' does not match '^a+$'")),
        ({"format": "ipv4"}, "x", ("", "'x' does not have the format 'ipv4'")),
        ({"prefixItems": [{}, {"type": "string"}], "items": False}, ["a", 1], ("[1]", "1 is not of type 'string'")),
        ({"prefixItems": [{}], "items": False}, [1, 2], ("[1]", "2 is not allowed here")),
        ({"contains": {"type": "string"}, "minContains": 2}, ["a"], ("", None)),
        ({"contains": True, "maxContains": 1}, ["a", 1], ("", None)),
        ({"uniqueItems": True}, [{"a": 1, "b": 2}, {"b": 2.0, "a": 1}], ("", "items 0 and 1 are equal")),
        ({"properties": {"a": {"items": {"type": "null"}}}}, {"a": [None, 0]}, (".a[1]", "0 is not of type 'null'")),
        ({"patternProperties": {"^x": False}}, {"xy": 1}, (".xy", "1 is not allowed here")),
        ({"additionalProperties": {"type": "null"}}, {"b": 1}, (".b", "1 is not of type 'null'")),
        ({"propertyNames": {"maxLength": 1}}, {"ab": 1}, (".ab", "'ab' has more than 1 characters")),
        ({"dependentRequired": {"a": ["b"]}}, {"a": 1}, ("", "'b' is required beside 'a'")),
        ({"dependentSchemas": {"a": {"required": ["b"]}}}, {"a": 1}, ("", "'b' is a required property")),
        ({"anyOf": [{"type": "null"}, {"type": "string"}]}, 1, ("", None)),
        ({"anyOf": [{"type": "null"}, {"properties": {"a": False}}]}, {"a": 1}, (".a", "1 is not allowed here")),
        ({"oneOf": [{}, {}]}, 1, ("", "1 fits more than one of the schemas of which it must fit exactly one")),
        ({"not": {}}, 1, ("", "1 fits the schema that it must not fit")),
        ({"if": {"type": "string"}, "then": {"minLength": 1}}, "", ("", "'' has fewer than 1 characters")),
        ({"if": {"type": "string"}, "else": False}, 1, ("", "1 is not allowed here")),
        ({"$ref": "#tall", "$defs": {"t": {"$anchor": "tall", "minimum": 2}}}, 1, ("", None)),
        ({"$ref": "#/$defs/a~1b%20c", "$defs": {"a/b c": False}}, 1, ("", "1 is not allowed here")),
        ({"$ref": "#/definitions/t", "definitions": {"t": False}}, 1, ("", "1 is not allowed here")),
        ({"$id": "urn:x", "$ref": "urn:x#/$defs/t", "$defs": {"t": False}}, 1, ("", "1 is not allowed here")),
        ({"$dynamicRef": "#t", "$defs": {"t": {"$dynamicAnchor": "t", "type": "null"}}}, 1, ("", None)),
    ],
)
def test_what_is_wrong_with_a_value(schema: dict[str, Any], value: Any, fault: tuple[str, str | None]) -> None:
    """Every keyword says where the value breaks it, and how."""
    found = fault_of(schema, value)
    assert found is not None
    assert found.path == fault[0]
    assert fault[1] in (None, found.message)


NOT_INSIDE = "is not supported inside of a schema; {} goes to its top"
NO_PART = 'refers to "{}", which is not a part of this schema'
NO_PATTERN = '"(" is no regular expression; look-around and back-references are not understood either'


@pytest.mark.parametrize(
    ("schema", "fault"),
    [
        ({"items": {"minLength": -1}}, (".items.minLength", "-1 is not a whole number of 0 or more")),
        ({"required": ["a", "a"]}, (".required", "['a', 'a'] names something twice")),
        ({"allOf": []}, (".allOf", "[] is not a list of schemas; give at least one")),
        ({"items": [{}]}, (".items", "[{}] is not a schema; write a mapping, true or false")),
        ({"multipleOf": 0}, (".multipleOf", "0 is not more than 0")),
        ({"uniqueItems": 1}, (".uniqueItems", "1 is not of type 'boolean'")),
        ({"dependentRequired": {"a": [1]}}, (".dependentRequired.a[0]", "1 is not of type 'string'")),
        ({"enum": {}}, (".enum", "{} is not of type 'array'")),
        ({"items": {"$schema": DIALECT}}, (".items.$schema", NOT_INSIDE.format("$schema"))),
        ({"items": {"$id": "urn:x"}}, (".items.$id", NOT_INSIDE.format("$id"))),
        ({"$ref": "http://127.0.0.1:1/x"}, (".$ref", NO_PART.format("http://127.0.0.1:1/x"))),
        ({"$ref": "file:///etc/passwd"}, (".$ref", NO_PART.format("file:///etc/passwd"))),
        ({"$ref": "#/enum/0", "enum": [{}]}, (".$ref", NO_PART.format("#/enum/0"))),
        (
            {"patternProperties": {"(": {}}},
            (".patternProperties.(", NO_PATTERN),
        ),
        ({"pattern": "(?x) a"}, (".pattern", '"(?x) a" has the flag x, which is not understood')),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_schema(schema: dict[str, Any], fault: tuple[str, str]) -> None:
    """A schema is refused with the place inside it: also one that refers to what is no schema, or elsewhere."""
    assert read_schema(schema, Steps()) == fault


def test_a_value_that_looks_like_a_schema_is_only_a_value() -> None:
    """What enum, const, default and examples hold is not read as a schema."""
    data = {"$schema": "elsewhere", "pattern": "(", "$ref": "nowhere"}
    schema = {"enum": [data], "const": data, "default": data, "examples": [data]}
    assert fault_of(schema, data) is None


def test_deep_nesting_is_a_problem_and_no_crash() -> None:
    """Schemas past Python's stack get a sentence, and so do schemas that refer to themselves, and deep values."""
    assert read_schema(nested(3000, lambda inner: {"not": inner}), Steps()) == ("", "is nested too deeply")
    endless = fault_of({"$ref": "#"}, 1)
    assert endless is not None
    assert "refers to itself without end" in endless.message
    value: Any = 1
    for _ in range(3000):
        value = [value]
    deep = fault_of({"items": {"$ref": "#"}}, value)
    assert deep is not None
    assert "nested too deeply" in deep.message


@pytest.mark.parametrize(
    ("format_", "right", "wrong"),
    [
        ("date", "2015-02-28", "2015-02-30"),
        ("date", "2015-02-28", "20150228"),
        ("date-time", "2015-02-28T12:00:00Z", "2015-02-28T12:00:00"),
        ("email", "a@example.org", "example.org"),
        ("email", "a@example.org", "a@" + "x" * 300),
        ("ipv4", "192.0.2.1", "192.0.2.256"),
        ("ipv6", "2001:db8::1", "fe80::1%eth0"),
        ("uuid", "123e4567-e89b-12d3-a456-426614174000", "123"),
    ],
)
def test_formats_are_checked(format_: str, right: str, wrong: str) -> None:
    """A format that a schema names means something."""
    assert fault_of({"format": format_}, right) is None
    assert fault_of({"format": format_}, wrong) is not None
    assert fault_of({"format": "unheard-of"}, wrong) is None


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-3, 3)
    | st.sampled_from([0.0, 1.0, 1.5])
    | st.sampled_from(["", "a", "ab"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=6,
)
names = st.lists(st.sampled_from("abc"), max_size=2, unique=True)
json_schemas = st.recursive(
    st.booleans() | st.just({}),
    lambda inner: st.fixed_dictionaries(
        {},
        optional={
            "type": st.sampled_from(["null", "boolean", "integer", "number", "string", "array", "object"])
            | st.just(["string", "integer"]),
            "enum": st.lists(json_values, max_size=3),
            "const": json_values,
            "properties": st.dictionaries(st.sampled_from("abc"), inner, max_size=2),
            "patternProperties": st.dictionaries(st.sampled_from(["^a", "b$", "."]), inner, max_size=2),
            "additionalProperties": inner,
            "propertyNames": inner,
            "required": names,
            "dependentRequired": st.dictionaries(st.sampled_from("abc"), names, max_size=2),
            "dependentSchemas": st.dictionaries(st.sampled_from("abc"), inner, max_size=2),
            "minProperties": st.integers(0, 2),
            "maxProperties": st.integers(0, 2),
            "prefixItems": st.lists(inner, min_size=1, max_size=2),
            "items": inner,
            "contains": inner,
            "minContains": st.integers(0, 2),
            "maxContains": st.integers(0, 2),
            "minItems": st.integers(0, 2),
            "maxItems": st.integers(0, 2),
            "uniqueItems": st.booleans(),
            "pattern": st.sampled_from(["^a", "b$", "a|b"]),
            "minLength": st.integers(0, 2),
            "maxLength": st.integers(0, 2),
            "allOf": st.lists(inner, min_size=1, max_size=2),
            "anyOf": st.lists(inner, min_size=1, max_size=2),
            "oneOf": st.lists(inner, min_size=1, max_size=2),
            "not": inner,
            "if": inner,
            "then": inner,
            "else": inner,
            "minimum": st.integers(-2, 2),
            "maximum": st.integers(-2, 2),
            "exclusiveMinimum": st.integers(-2, 2),
            "exclusiveMaximum": st.integers(-2, 2),
            "multipleOf": st.sampled_from([1, 2, 0.5]),
            "$ref": st.just("#/$defs/d"),
            "$defs": st.fixed_dictionaries({"d": inner}),
        },
    ),
    max_leaves=8,
)


def refers(part: Any) -> bool:
    """Whether a schema refers to another: at random it would refer to what is not there."""
    match part:
        case dict():
            return "$ref" in part or any(map(refers, part.values()))
        case list():
            return any(map(refers, part))
        case _:
            return False


@given(json_schemas.filter(lambda schema: isinstance(schema, dict) and not refers(schema)), json_values)
@settings(max_examples=300, deadline=None)
def test_the_answers_are_those_of_another_validator(schema: dict[str, Any], value: Any) -> None:
    """What is valid here is valid there, for all keywords together."""
    assert (fault_of(schema, value) is None) == Draft202012Validator(schema).is_valid(value)


@given(json_schemas.filter(lambda schema: isinstance(schema, dict)), json_schemas, json_values)
@settings(max_examples=100, deadline=None)
def test_a_reference_means_what_it_refers_to(schema: dict[str, Any], target: Any, value: Any) -> None:
    """Also recursively: another validator agrees, or neither comes to an end."""
    schema = {**schema, "$defs": {"d": target}}
    found = fault_of(schema, value)
    try:
        valid = Draft202012Validator(schema).is_valid(value)
    except RecursionError:
        assert found is not None
    else:
        assert (found is None) == valid or (found is not None and "without end" in found.message)


GROWING: dict[str, Callable[[int], tuple[dict[str, Any], Any]]] = {
    "nothing": lambda n: ({f"x-{i}": i for i in range(n)}, 1),
    "type": lambda n: ({"items": {"type": ["string", "integer"]}}, [0] * n),
    "enum of many": lambda n: ({"items": {"enum": [*range(n)]}}, [n - 1] * 30),
    "enum of large ones": lambda n: ({"items": {"enum": [[0] * n]}}, [[0] * n] * 30),
    "const": lambda n: ({"items": {"const": {"a": [0] * n}}}, [{"a": [0] * n}] * 30),
    "numbers": lambda n: ({"items": {"minimum": 0, "multipleOf": 0.5}}, [0.5] * n),
    "lengths": lambda n: ({"items": {"minLength": 0, "maxLength": 9}}, ["a"] * n),
    "pattern": lambda n: ({"items": {"pattern": "^(a+)+$"}}, ["aaaa"] * n),
    "format": lambda n: ({"items": {"format": "date"}}, ["2015-02-28"] * n),
    "prefixItems": lambda n: ({"prefixItems": [{"type": "integer"}] * n}, [0] * n),
    "items": lambda n: ({"allOf": [{"items": True}] * 30}, [0] * n),
    "contains": lambda n: ({"contains": {"const": 1}, "minContains": 0}, [0] * n),
    "uniqueItems": lambda n: ({"allOf": [{"uniqueItems": True}] * 30}, [*range(n)]),
    "uniqueItems of large ones": lambda n: ({"allOf": [{"uniqueItems": True}] * 30}, [[0] * n, {"a": [1] * n}]),
    "properties": lambda n: ({"allOf": [{"properties": {f"p{i}": {} for i in range(n)}}] * 5}, {"p1": 1}),
    "patternProperties": lambda n: ({"patternProperties": {"^a": {}, "b": {}}}, {f"k{i}": 1 for i in range(n)}),
    "additionalProperties": lambda n: ({"additionalProperties": {"type": "null"}}, {f"k{i}": None for i in range(n)}),
    "propertyNames": lambda n: ({"propertyNames": {"maxLength": 9}}, {f"k{i}": 1 for i in range(n)}),
    "required": lambda n: ({"items": {"required": [f"k{i}" for i in range(n)]}}, [{f"k{i}": 1 for i in range(n)}] * 9),
    "dependentRequired": lambda n: ({"items": {"dependentRequired": {"a": [f"k{i}" for i in range(n)]}}}, [{"a": 1}]),
    "dependentSchemas": lambda n: ({"dependentSchemas": {f"k{i}": {} for i in range(n)}}, {"k1": 1}),
    "allOf": lambda n: ({"allOf": [{"type": "integer"}] * n}, 1),
    "anyOf": lambda n: ({"anyOf": [{"type": "null"}] * n}, 1),
    "anyOf, deep": lambda n: (nested(min(n, 120), lambda inner: {"anyOf": [inner, False], "items": {}}), [0] * 9),
    "oneOf": lambda n: ({"oneOf": [{"type": "null"}] * n}, 1),
    "not": lambda n: ({"items": {"not": {"type": "null"}}}, [0] * n),
    "if": lambda n: ({"items": {"if": {"type": "null"}, "then": False, "else": {"minimum": 0}}}, [0] * n),
    "$ref": lambda n: ({"items": {"$ref": "#/$defs/d"}, "$defs": {"d": {"type": "integer"}}}, [0] * n),
    "many $refs": lambda n: (
        {"allOf": [{"$ref": f"#/$defs/d{i}"} for i in range(n)], "$defs": {f"d{i}": {} for i in range(n)}},
        1,
    ),
    "patterns": lambda n: ({"allOf": [{"pattern": f"^[a-z]{i}"} for i in range(n)]}, 1),
}  # fmt: skip


def spend(schema: dict[str, Any], value: Any, steps: Steps) -> None:
    """Do all the work of a parameter, as far as the budget goes."""
    try:
        read = read_schema(schema, steps)
        assert isinstance(read, Schema)
        compare(read, value, steps)
    except TooManyStepsError:
        pass


@pytest.mark.parametrize("keyword", GROWING)
def test_the_work_of_every_keyword_is_counted(keyword: str) -> None:
    """A step stands for a handful of calls, whatever grows: schema, value or both."""
    for size in (10, 40, 160, 640):
        schema, value = GROWING[keyword](size)
        steps = Steps(10**9)
        calls = calls_of(lambda: spend(schema, value, steps))  # noqa: B023  called at once
        assert calls <= 4 * steps.taken + 200, (size, calls, steps.taken)


@pytest.mark.parametrize("keyword", GROWING)
def test_the_work_ends_with_the_budget(keyword: str) -> None:
    """With a small budget no keyword goes on for long after it is used up."""
    schema, value = GROWING[keyword](5_000)
    steps = Steps(1_000)
    calls = calls_of(lambda: spend(schema, value, steps))
    assert calls <= 4 * steps.limit + 200
    assert steps.taken > steps.limit or keyword == "anyOf, deep"


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"allOf": [{"uniqueItems": True}] * 600}, [*range(40_000)]),
        (doubling(40), 1),
        ({"items": {"allOf": [{}] * 50}}, [0] * 20_000),
        ({"pattern": "a{20000}!"}, "a" * 200_000),
        ({"pattern": "(.?){500}.{500}!"}, "a" * 200_000),
        ({"pattern": r"\w{100}!"}, "é" * 1_000),
        ({"pattern": r"(\w{30}){30}"}, ""),
        ({"pattern": "((a{0,100}){0,100}){0,100}"}, ""),
        ({"patternProperties": {"x{1000}": {}}}, {"a" * 10_000: 1}),
        ({"additionalProperties": False, "patternProperties": {"x{1000}": {}}}, {"a" * 10_000: 1}),
        ({"propertyNames": {"pattern": "x{1000}"}}, {"a" * 10_000: 1}),
        ({"allOf": [{"pattern": rf"^\w{index}"} for index in range(400)]}, ""),
        ({"items": {"enum": [[0] * 3_000]}}, [[0] * 3_000] * 40),
    ],
)
def test_what_takes_too_long_is_not_done(schema: dict[str, Any], value: Any) -> None:
    """Schemas of a few kilobytes that would take seconds, or days, use the budget up before the work is done."""
    steps = Steps()
    with pytest.raises(TooManyStepsError):
        compare(read_schema(schema, steps), value, steps)  # type: ignore[arg-type]
    assert steps.taken > MAX_STEPS


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"items": {"type": "number"}}, [0.5] * 25_000),
        ({"uniqueItems": True, "items": {"type": "integer"}}, [*range(10_000)]),
        ({"pattern": "^(a+)+$"}, "a" * 200_000 + "!"),
        ({"items": {"pattern": r"^[a-z0-9-]{1,63}$"}}, ["station-1234"] * 3_000),
        ({"pattern": r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$"}, "a.b" * 80),
        ({"format": "date", "pattern": r"^\d{4}-\d{2}-\d{2}$"}, "2015-02-28"),
        (
            {"items": {"type": "object", "required": ["id"], "properties": {"id": {"type": "integer"}, "at": {}}}},
            [{"id": number, "at": "2015-02-28"} for number in range(3_000)],
        ),
    ],
)
def test_what_people_write_is_within_the_budget(schema: dict[str, Any], value: Any) -> None:
    """Thousands of rows with a schema for each are compared."""
    steps = Steps()
    read = read_schema(schema, steps)
    assert isinstance(read, Schema)
    compare(read, value, steps)


@pytest.mark.parametrize(
    ("pattern", "states"),
    [
        ("abc", 3),
        ("a{3}", 4),
        ("a{3,5}", 5),
        ("a{3,}", 4),
        ("a{ 3 , 5 }", 5),
        ("(ab){10}", 33),
        ("(a{10}){10}", 132),
        ("(?:ab){10}", 33),
        ("(?P<n>ab){10}(?<m>c)", 35),
        (r"\(a{10}", 12),
        (r"[^]a{10}]{10}", 22),
        (r"[[a-c]&&[^b]]{10}", 44),
        (r"[]{10}]{3}", 4),
        (r"\p{Greek}{10}", 44),
        (r"\x{41}{10}", 11),
        ("a|b|c", 5),
        ("(?i)a{10}", 22),
        ("(?i:a{10})", 23),
        (".*", 3),
    ],
)
def test_the_size_of_a_pattern_is_known_before_it_is_compiled(pattern: str, states: int) -> None:
    """Repetitions are written out, groups and classes are told from what they hold."""
    assert size_of(pattern).states == states
    Pattern(pattern, Steps())
