from __future__ import annotations

from pathlib import Path

import click
import pytest

from flowkiln.cli.parameters import parse_parameter, read_parameters
from flowkiln.loading.parameter_values import RawValue

BOMB = "".join(
    f"{name}: &{name} [" + ",".join([f"*{before}"] * 10) + "]\n" for before, name in ["ab", "bc", "cd", "de"]
)


class TestParseParameter:
    @pytest.mark.parametrize(
        ("text", "name", "value"), [("x=1", "x", "1"), ("x=a=b", "x", "a=b"), ("x=", "x", ""), ('x="1"', "x", '"1"')]
    )
    def test_a_name_and_what_was_typed(self, text: str, name: str, value: str) -> None:
        """The value is taken as it stands; its meaning depends on the parameter's schema."""
        assert parse_parameter(text) == (name, RawValue(value))

    @pytest.mark.parametrize("text", ["", "x", "=1", "a-b=1", "a b=1", "1x=1"])
    def test_no_parameter(self, text: str) -> None:
        """The form is shown."""
        with pytest.raises(click.BadParameter, match="write name=value"):
            parse_parameter(text)

    def test_a_value_that_is_no_text(self) -> None:
        """Bytes of another encoding are refused; Python hands them on as half characters."""
        with pytest.raises(click.BadParameter, match="the value of 'x' is not UTF-8"):
            parse_parameter("x=\udce9")


class TestReadParameters:
    @pytest.mark.parametrize(
        "text",
        ["year: 2010\nday: 2010-01-01\n", '{"year": 2010, "day": "2010-01-01"}', "{year: 2010, day: 2010-01-01}"],
    )
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
        [
            ("[1]", "must hold one mapping"),
            ("a: 1\n---\nb: 2", "must hold one mapping"),
            ("a: 1\nb: [", r"p:2:5: cannot be read as YAML or JSON: expected"),
            ("a: 1\nb: .inf", r"p:2:4: cannot be read as YAML or JSON: .inf cannot be written in JSON"),
            ('a: "\\ud800"', r"p:1:4: .* half a character"),
            ("a: &a [x,x,x,x,x,x,x,x,x,x]\n" + BOMB, "p:4:.*: document contains excessive aliasing"),
            ("[" * 10_000, "nested more than 100 levels"),
        ],
    )
    def test_anything_else(self, tmp_path: Path, text: str, said: str) -> None:
        """The file is named, and what it must hold."""
        file = tmp_path / "p"
        file.write_text(text)
        with pytest.raises(click.BadParameter, match=said):
            read_parameters(file)
