from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from flowkiln.loading.yaml_text import MAX_DEPTH, YamlError, read_text, read_yaml


def values(text: str) -> list[Any]:
    """The values of all documents."""
    return [document.value for document in read_yaml(text)]


COUNT_CALLS = """
import sys
from flowkiln.loading.yaml_text import read_yaml

def calls(text):
    counted = []
    sys.setprofile(lambda *_: counted.append(None))
    read_yaml(text)
    sys.setprofile(None)
    return len(counted)

for item in ("- {a: 1, b: [x, y]}\\n", "- 'a b'\\n", '- &a "x"\\n', "- |\\n  text\\n"):
    print(calls(item * 200), calls(item * 400))
"""


class TestReadYaml:
    def test_several_documents(self) -> None:
        """Empty ones are passed over."""
        assert values("---\na: 1\n---\n---\nb: 2\n") == [{"a": 1}, {"b": 2}]

    @pytest.mark.parametrize(
        "text", ["a: 1\nb: 2\na: 3\n", "- {a: 1, 'a': 2}", "x:\n  y: {z: [{a: 1, b: 2, a: 1}]}", "1: a\n'1': b"]
    )
    def test_a_key_given_twice_is_refused(self, text: str) -> None:
        """At whatever depth, and however it is quoted: the last value would win without a word."""
        with pytest.raises(YamlError, match=r"is given in line 1 already|is given in line 2 already"):
            read_yaml(text)

    def test_a_key_may_win_over_what_is_merged(self) -> None:
        """That is what merging is for, also if what is merged was merged itself."""
        text = "a: &a {k: 1}\nb: &b {<<: *a, k: 2}\nc: {<<: *b, k: 3}\nd: {<<: [*a, *b]}\n"
        assert values(text) == [{"a": {"k": 1}, "b": {"k": 2}, "c": {"k": 3}, "d": {"k": 1}}]

    def test_copies_of_an_anchor_are_values_of_their_own(self) -> None:
        """Changing one leaves the other, as in a cluster, where both come from JSON."""
        ((document),) = values("a: &a {k: [1]}\nb: *a\n")
        document["b"]["k"].append(2)
        assert document["a"] == {"k": [1]}

    @pytest.mark.parametrize(
        ("text", "said"),
        [
            (
                "spec:\n  tasks: [1, 2\n",
                "line 3, column 1: expected ',' or ']', but got '<stream end>', "
                "while parsing a flow sequence that begins in line 2",
            ),
            ("a: 1\n\tb: 2\n", "line 2, column 1: found character"),
            ("a: *b\n", 'line 1, column 4: there is no anchor "b" before this alias'),
            ("b: 1\na: 1\nb: 2\n", 'line 3, column 1: the key "b" is given in line 1 already'),
            ("é: 'é\x01'\n", "line 1, column 6: the character U+0001 is not allowed"),
            ("a: 1\nb:\n  - .inf\n", "line 3, column 5: .inf cannot be written in JSON, so Kubernetes refuses it"),
            ('a: 1\nb: "\\udc00"\n', "line 2, column 4: \\udc00 is half a character (a lone surrogate)"),
            ("a: \ud800\n", "line 1, column 4: the character U+D800 is not allowed"),
            ("a: 1\n--- b\n", 'line 2, column 1: "--- b" is not a document separator'),
            ('{"a": 1,\n "a": 2}', 'line 2, column 2: the key "a" is given in line 1 already'),
            ('{"a": 1,\n "b": 1e999}', "line 2, column 7: the number 1e999 is too large"),
            ('{"a": 1,\n "b": }}', "line 2, column 8: expected "),
        ],
    )
    def test_errors_have_a_place(self, text: str, said: str) -> None:
        """Line and column count from 1 and are those of the text, also after characters of several bytes."""
        with pytest.raises(YamlError) as error:
            read_yaml(text)
        assert str(error.value).startswith(said)
        assert "\n" not in str(error.value)

    @pytest.mark.parametrize("opening", ["[", "{a: ", "- ", "? ", '{"a": ', "[{a: "])
    def test_deep_nesting_is_refused(self, opening: str) -> None:
        """Far more levels than Python's stack has end in a sentence, and nothing else."""
        with pytest.raises(YamlError, match=f"nested more than {MAX_DEPTH} levels deep"):
            read_yaml(opening * 50_000)

    @pytest.mark.parametrize(
        "text",
        ["[" * 300 + "]" * 300, "a: &a " + "[" * 60 + "]" * 60 + "\nb: " + "[" * 60 + "*a" + "]" * 60, '{"a":' * 150],
    )
    def test_nesting_is_counted_through_aliases(self, text: str) -> None:
        """What an alias stands for is as deep as if it were written there."""
        with pytest.raises(YamlError, match=r"nested more than|expected"):
            read_yaml(text)

    def test_the_deepest_nesting_is_read_on_a_short_stack(self) -> None:
        """The bound is what the reader can do, wherever it is called."""
        text = "[" * MAX_DEPTH + "]" * MAX_DEPTH

        def deeper(frames: int) -> list[Any]:
            return values(text) if frames == 0 else deeper(frames - 1)

        assert len(deeper(sys.getrecursionlimit() // 2)) == 1

    def test_work_is_linear(self) -> None:
        """Twice the text takes twice the calls, whatever its shape."""
        # A process without other threads: Python 3.11 may hang where a profiled thread and others want to run.
        done = subprocess.run([sys.executable, "-c", COUNT_CALLS], capture_output=True, text=True, check=True)
        counts = [tuple(map(int, line.split())) for line in done.stdout.splitlines()]
        assert len(counts) == 4
        assert all(0 < twice < 2.2 * once for once, twice in counts)

    def test_a_share_of_aliases_is_refused_in_little_memory(self) -> None:
        """A parameter of ten to the power of fifteen nodes is refused while it is a thousand nodes."""
        text = "a: &a [" + ",".join("x" * 10) + "]\n"
        for number in range(15):
            text += f"l{number}: &l{number} [" + ",".join([f"*{'a' if number == 0 else f'l{number - 1}'}"] * 10) + "]\n"
        with pytest.raises(YamlError, match=r"line 4, column \d+: document contains excessive aliasing"):
            read_yaml(text)


class TestReadText:
    @pytest.mark.parametrize(("content", "place"), [(b"a: 1\nb: \xe9\n", "line 2, column 4"), (b"\xff\xfea", "line 1")])
    def test_other_encodings(self, tmp_path: Path, content: bytes, place: str) -> None:
        """The place of the first byte that is not UTF-8 is told."""
        file = tmp_path / "f.yaml"
        file.write_bytes(content)
        with pytest.raises(YamlError, match=f"{place}.*not UTF-8"):
            read_text(file)


class TestWritten:
    TEXT = "spec:\n  tasks:\n  - {name: no, command: [echo, 0644, 'yes']}\n  labels: {a.b/c: 010, a: {b: 1}}\n  m: *x\n"

    def test_scalars_as_written(self) -> None:
        """The text of a scalar without quotes can be had by its path; others have none."""
        (document,) = read_yaml("x: &x 1_0\n" + self.TEXT)
        written = document.written
        assert written is not None
        assert written.text_at(("spec", "tasks", 0, "name")) == "no"
        assert written.text_at(("spec", "tasks", 0, "command", 1)) == "0644"
        assert written.text_at(("spec", "tasks", 0, "command", 2)) is None
        assert written.text_at(("spec", "m")) == "1_0"
        assert written.text_at(("spec", "tasks", 7, "name")) is None

    @pytest.mark.parametrize(
        ("field", "place"),
        [
            ("spec", (2, 1)),
            ("spec.tasks[0].name", (4, 6)),
            ("spec.tasks[0].command[1]", (4, 32)),
            ("spec.labels.a.b/c", (5, 12)),
            ("spec.labels.a.b", (5, 28)),
            ("spec.tasks[0].function", (4, 5)),
            ("spec.tasks[9].name", (3, 3)),
            ("metadata.name", (1, 1)),
            ("", (1, 1)),
        ],
    )
    def test_where_a_field_stands(self, field: str, place: tuple[int, int]) -> None:
        """A field that is not there is placed where it would be."""
        (document,) = read_yaml("x: &x 1\n" + self.TEXT)
        assert document.written is not None
        spot = document.written.locate(field)
        assert (spot.line, spot.column) == place
