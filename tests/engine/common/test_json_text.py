from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flowkiln.common.json_text import DuplicateKeyError, JsonError, read_json

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@settings(deadline=None)
@given(JSON)
def test_what_json_can_say_comes_back(value: Any) -> None:
    """Nothing that is JSON is refused or changed."""
    assert read_json(json.dumps(value)) == value


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("6e12345", "the number 6e12345 is too large"),
        ("[1, -1e400]", "the number -1e400 is too large"),
        ("NaN", "NaN is no JSON"),
        ("[Infinity]", "Infinity is no JSON"),
        ('"\\ud800"', r"\\ud800 is half a character"),
        ('{"\\udc00": 1}', r"\\udc00 is half a character"),
        ("[" * 100_000 + "]" * 100_000, "nested too deeply"),
        ("9" * 10_000, "Exceeds the limit"),
        ("", "Expecting value"),
        ("{'a': 1}", "Expecting property name"),
        ("010", "Extra data"),
    ],
)
def test_what_is_refused(text: str, said: str) -> None:
    """Python's own reader makes infinity, NaN and half characters of these, or ends with another kind of error."""
    with pytest.raises(JsonError, match=said):
        read_json(text)


@pytest.mark.parametrize("text", ['{"a": 1, "a": 1}', '[{"b": {"a": 1, "\\u0061": 2}}]'])
def test_a_key_given_twice(text: str) -> None:
    """It is told apart from text that is no JSON: whoever wrote it meant JSON."""
    with pytest.raises(DuplicateKeyError, match='the key "a" is given twice'):
        read_json(text)


def test_pairs_of_surrogates_are_characters() -> None:
    """JSON writes a character beyond the first 65,536 as two escapes."""
    assert read_json('"\\ud83d\\ude00"') == "\U0001f600"
