from __future__ import annotations

import pytest
import yaml

from flowkiln.loading.yaml_text import complaint, read_yaml


class TestReadYaml:
    def test_dates_stay_text(self) -> None:
        """As for Kubernetes, a date is text; numbers, booleans and nulls are what they look like."""
        text = "{day: 2010-01-01, time: 2010-01-01T00:00:00Z, number: 2010, flag: true, none: null}"
        assert read_yaml(text) == [
            {"day": "2010-01-01", "time": "2010-01-01T00:00:00Z", "number": 2010, "flag": True, "none": None}
        ]

    def test_several_documents(self) -> None:
        """Empty ones are passed over."""
        assert read_yaml("---\na: 1\n---\n---\nb: 2\n") == [{"a": 1}, {"b": 2}]

    def test_no_objects_are_made(self) -> None:
        """Tags that would call Python are refused."""
        with pytest.raises(yaml.YAMLError):
            read_yaml("!!python/object/apply:os.getcwd []")

    @pytest.mark.parametrize(
        "text", ["a: 1\nb: 2\na: 3\n", "- {a: 1, 'a': 2}", "x:\n  y: {z: [{a: 1, b: 2, a: 1}]}", "1: a\n'1': b"]
    )
    def test_a_key_given_twice_is_refused(self, text: str) -> None:
        """At whatever depth, and however it is quoted: the last value would win without a word."""
        with pytest.raises(yaml.YAMLError, match=r"is given in line 1 already|is given in line 2 already"):
            read_yaml(text)

    def test_a_key_may_win_over_what_is_merged(self) -> None:
        """That is what merging is for, also if what is merged was merged itself."""
        text = "a: &a {k: 1}\nb: &b {<<: *a, k: 2}\nc: {<<: *b, k: 3}\nd: {<<: [*a, *b]}\n"
        (document,) = read_yaml(text)
        assert document == {"a": {"k": 1}, "b": {"k": 2}, "c": {"k": 3}, "d": {"k": 1}}


class TestComplaint:
    @pytest.mark.parametrize(
        ("text", "said"),
        [
            (
                "spec:\n  tasks: [1, 2\n",
                "line 3, column 1, while parsing a flow sequence that begins in line 2: "
                "expected ',' or ']', but got '<stream end>'",
            ),
            ("a: 1\n\tb: 2\n", "line 2, column 1: found character"),
            ("a: *b\n", "line 1, column 4: found undefined alias 'b'"),
            ("b: 1\na: 1\nb: 2\n", 'line 3, column 1: the key "b" is given in line 1 already'),
            ("a: \x01\n", "character 4: special characters are not allowed"),
        ],
    )
    def test_it_says_where_and_what_in_one_line(self, text: str, said: str) -> None:
        """The place is in the text, not in what the parser calls it."""
        with pytest.raises(yaml.YAMLError) as error:
            read_yaml(text)
        assert complaint(error.value).startswith(said)
        assert "unicode string" not in complaint(error.value)
        assert "\n" not in complaint(error.value)
