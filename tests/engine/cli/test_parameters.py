from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flowkiln.cli.parameters import parse_parameter, parse_value, read_parameters

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


class TestParseParameter:
    @settings(deadline=None)
    @given(JSON)
    def test_json_comes_back(self, value: Any) -> None:
        """Whatever JSON can express can be given."""
        assert parse_parameter(f"x={json.dumps(value)}") == ("x", value)

    @settings(deadline=None)
    @given(st.text(alphabet=st.characters(categories=["L"])).filter(lambda t: t not in {"true", "false", "null"}))
    def test_words_are_text(self, text: str) -> None:
        """What is no JSON needs no quotes."""
        assert parse_parameter(f"x={text}") == ("x", text)

    @pytest.mark.parametrize(
        ("text", "value"),
        [
            ("2010", 2010),
            ('"2010"', "2010"),
            ("007", "007"),
            ("2010-01-01", "2010-01-01"),
            ("a=b", "a=b"),
            ("", ""),
            ("true", True),
            ("True", "True"),
            ("NaN", "NaN"),
            ("-Infinity", "-Infinity"),
            ("[1, Infinity]", "[1, Infinity]"),
            ("{", "{"),
        ],
    )
    def test_edges(self, text: str, value: Any) -> None:
        """Only what is JSON by the letter is taken as JSON."""
        assert parse_value(text) == value

    @pytest.mark.parametrize("text", ["", "x", "=1", "a-b=1", "a b=1", "1x=1"])
    def test_no_parameter(self, text: str) -> None:
        """The form is shown."""
        with pytest.raises(click.BadParameter, match="write name=value"):
            parse_parameter(text)


class TestReadParameters:
    @pytest.mark.parametrize("text", ["year: 2010\nday: 2010-01-01\n", '{"year": 2010, "day": "2010-01-01"}'])
    def test_yaml_and_json(self, tmp_path: Path, text: str) -> None:
        """Both are read alike; dates stay text."""
        file = tmp_path / "p"
        file.write_text(text)
        assert read_parameters(file) == {"year": 2010, "day": "2010-01-01"}

    def test_empty(self, tmp_path: Path) -> None:
        """An empty file gives nothing."""
        file = tmp_path / "p"
        file.write_text("# none\n")
        assert read_parameters(file) == {}

    @pytest.mark.parametrize(
        ("text", "said"),
        [("[1]", "must hold one mapping"), ("1: 2", "must hold one mapping"), ("{", "neither YAML nor")],
    )
    def test_anything_else(self, tmp_path: Path, text: str, said: str) -> None:
        """The file is named, and what it must hold."""
        file = tmp_path / "p"
        file.write_text(text)
        with pytest.raises(click.BadParameter, match=said):
            read_parameters(file)
