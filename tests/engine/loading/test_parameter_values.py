from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flowkiln.common.json_text import DuplicateKeyError
from flowkiln.loading.parameter_values import RawValue, parameter_label, parse_raw

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)
TEXT = {"type": "string"}
INTEGER = {"type": "integer"}
OPTIONAL_TEXT = {"type": ["string", "null"]}
NUMBER_OR_TEXT = {"type": ["number", "string"]}


@settings(deadline=None)
@given(JSON)
def test_json_comes_back(value: Any) -> None:
    """Without a schema, whatever JSON can express can be typed."""
    assert parse_raw(json.dumps(value), {}) == value


@settings(deadline=None)
@given(st.text())
def test_text_stays_text(text: str) -> None:
    """Where the schema asks for text, nothing is read into it."""
    assert parse_raw(text, TEXT) == text


@pytest.mark.parametrize(
    ("text", "schema", "value"),
    [
        # text stays what was typed
        ("20200219", TEXT, "20200219"),
        ("2020-01-01", TEXT, "2020-01-01"),
        ("null", TEXT, "null"),
        ("true", TEXT, "true"),
        ('"2010"', TEXT, '"2010"'),
        ('{"a": 1, "a": 2}', TEXT, '{"a": 1, "a": 2}'),
        ("", TEXT, ""),
        # other types are JSON
        ("2010", INTEGER, 2010),
        ("1e3", {"type": "number"}, 1000.0),
        ("true", {"type": "boolean"}, True),
        ("[1, 2]", {"type": "array"}, [1, 2]),
        ('{"a": null}', {"type": "object"}, {"a": None}),
        ("ten", INTEGER, "ten"),
        ('"2010"', INTEGER, "2010"),
        ("6e12345", INTEGER, "6e12345"),
        # several types, or none that is said
        ("2010", {}, 2010),
        ('"2010"', {}, "2010"),
        ("007", {}, "007"),
        ("2010-01-01", {}, "2010-01-01"),
        ("a=b", {}, "a=b"),
        ("True", {}, "True"),
        ("NaN", {}, "NaN"),
        ("-Infinity", {}, "-Infinity"),
        ("[1, Infinity]", {}, "[1, Infinity]"),
        ("{", {}, "{"),
        ("12e4567", {}, "12e4567"),
        ("6e12345", NUMBER_OR_TEXT, "6e12345"),
        ("[6e12345]", {}, "[6e12345]"),
        ("9" * 5000, {}, "9" * 5000),
        ("20200219", NUMBER_OR_TEXT, 20200219),
        ("20200219", OPTIONAL_TEXT, "20200219"),
        ("null", OPTIONAL_TEXT, None),
        ("5.0", {"type": ["integer", "string"]}, 5.0),
        ("5.5", {"type": ["integer", "string"]}, "5.5"),
        ("1", {"enum": ["1", "2"]}, "1"),
        ("1", {"enum": [1, 2]}, 1),
        ("1", {"const": "1"}, "1"),
        ("1", {"minimum": 0}, 1),
    ],
)
def test_edges(text: str, schema: dict[str, Any], value: Any) -> None:
    """The schema decides first, then the letter of JSON; what is no number for JSON stays text."""
    read = parse_raw(text, schema)
    assert (read, type(read)) == (value, type(value))


@pytest.mark.parametrize("schema", [{}, {"type": "object"}, {"type": ["object", "string"]}])
def test_a_key_given_twice(schema: dict[str, Any]) -> None:
    """Whoever typed it meant an object; neither value may be lost without a word."""
    with pytest.raises(DuplicateKeyError, match='the key "a" is given twice'):
        parse_raw('{"a": 1, "a": 2}', schema)


def test_what_was_typed_is_shown() -> None:
    """Messages repeat the option, but not a whole document."""
    assert parameter_label("day", RawValue("x")) == "-p day=x"
    assert parameter_label("day", "x") == "parameters.day"
    assert len(parameter_label("day", RawValue("x" * 1000))) == len("-p day=") + 80
