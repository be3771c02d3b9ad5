"""What we read of YAML and JSON is what a real kubectl reads; where the two differ on purpose, the table says so."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from flowkiln.loading.yaml_text import YamlError, read_yaml

from .kubectl import FRAME, KubectlError, kubectl_reads

SCALARS: dict[str, object] = {
    # booleans and nulls
    **dict.fromkeys(["y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"], True),
    **dict.fromkeys(["n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"], False),
    **dict.fromkeys(["~", "null", "Null", "NULL", ""]),
    **{word: word for word in ("yEs", "tRUE", "nUll", "none", "None", "yes!", "on time", "inf", "nan", "=", "<<")},
    # integers
    "0": 0, "00": 0, "-0": 0, "+12": 12, "010": 8, "0777": 511, "0o17": 15, "0O17": 15, "-017": -15, "08": 8,
    "0x1F": 31, "0X1f": 31, "-0x10": -16, "0b101": 5, "-0b11": -3, "0B1": 1, "1_000": 1000, "1__0": 10, "1_": 1,
    "0_7": 7, "0_8": 8, "_1": "_1", "0b102": "0b102", "0o8": "0o8", "0x": "0x", "0644": 420, "1,000": "1,000",
    "9223372036854775807": 9223372036854775807,
    "-9223372036854775808": -9223372036854775808,
    "9223372036854775808": 9223372036854776000,
    "18446744073709551615": 18446744073709552000,
    "+18446744073709551615": 18446744073709552000,
    "-9223372036854775809": -9223372036854776000,
    "123456789012345678901234567890": 1.2345678901234568e29,
    "0xFFFFFFFFFFFFFFFFFF": "0xFFFFFFFFFFFFFFFFFF",
    "9" * 200: 1e200,
    "9" * 400: "9" * 400,
    # floats
    "1e3": 1000, "1E3": 1000, "1e+3": 1000, "1e-3": 0.001, "1.5": 1.5, "5.0": 5, "5.": 5, "1.e3": 1000, "-0.0": 0,
    ".5": 0.5, "-.5": -0.5, "+.5": 0.5, ".5_0": 0.5, "._5": "._5", ".5_": ".5_", "1e1_0": 10**10, "1e20": 10**20,
    "1e21": 1e21, "1e-400": 0, "1e400": "1e400", "6e12345": "6e12345", ".5e400": ".5e400", "0x1p4": "0x1p4",
    "1.2.3": "1.2.3", "1e": "1e", ".": ".", "+": "+", "1.5e3": 1500, "0.1": 0.1, "4.0e-7": 4e-7,
    # times and dates
    **{text: text for text in ("12:30", "1:30:45.5", "190:20:30", "2020-01-01", "2001-1-1 1:2:3", "08:00", "1:2")},
    "2001-12-14t21:59:43.10-05:00": "2001-12-14t21:59:43.10-05:00",
    # quotes and tags
    "'010'": "010", '"yes"': "yes", "''": "", '"\\U0001F600"': "\U0001f600", "'it''s'": "it's",
    "!!str 12": "12", "!!str": "", "!!str ~": "~", "!!str yes": "yes", "! 12": "12", "!foo 12": "12",
    '!!int "12"': 12, "!!int 0x10": 16, "!!float 1": 1, "!!float 010": 8, '!!float "1e3"': 1000,
    '!!bool "yes"': True,
    "!!null ''": None, "!!timestamp 2001-01-01": "2001-01-01", "!!binary aGVsbG8=": "hello", "!!map a": "a",
    "!<tag:yaml.org,2002:str> 12": "12", "!!seq": "", "!!int 18446744073709551615": 18446744073709552000,
}  # fmt: skip

SHAPES: dict[str, object] = {
    # keys
    "x: {1: a, yes: b, 1.5: c, 010: d, 0.1: e}": {"1": "a", "true": "b", "1.5": "c", "8": "d", "0.1": "e"},
    "x: {1e3: a, 1e6: b, 1e-5: c, .00012: d}": {"1000": "a", "1e+06": "b", "1e-05": "c", "0.00012": "d"},
    "x: {123456789.0: a, 16777217.0: b, -0.0: c}": {"1.2345679e+08": "a", "1.6777216e+07": "b", "-0": "c"},
    "x: {.inf: a, .nan: b, -.inf: c}": {".inf": "a", ".nan": "b", "-.inf": "c"},
    "x: {1e300: a}": {".inf": "a"},
    "x: {2001-01-01: a, 12:30: b, !!binary aGk=: c}": {"2001-01-01": "a", "12:30": "b", "hi": "c"},
    "x: {'a': 1, b c: 2, \"d\":3, e:4}": {"a": 1, "b c": 2, "d": 3, "e:4": None},
    "x:\n  ? a\n  : b\n  ? c": {"a": "b", "c": None},
    # merge keys
    "b: &b {p: 1, q: 2}\nx: {<<: *b, q: 3}": {"p": 1, "q": 3},
    "b: &b {p: 1, q: 2}\nx: {q: 3, <<: *b}": {"p": 1, "q": 2},
    "b: &b {p: 1}\nc: &c {p: 5, r: 6}\nx: {<<: [*b, *c]}": {"p": 1, "r": 6},
    "b: &b {p: 1}\nc: &c {p: 2, r: 1}\nx:\n  <<: *b\n  <<: *c": {"p": 2, "r": 1},
    "x: {<<: {a: 1}, b: 2}": {"a": 1, "b": 2},
    "x: {'<<': {a: 1}}": {"<<": {"a": 1}},
    "x: {!!merge <<: {a: 1}}": {"a": 1},
    # anchors
    "b: &b [1, {c: d}]\nx: [*b, *b]": [[1, {"c": "d"}], [1, {"c": "d"}]],
    "b: &b 010\nx: [*b,*b]": [8, 8],
    "b: &b 1\nc: &b 2\nx: *b": 2,
    "b: &b 010\nx: {*b : 1}": {"8": 1},
    "x: {&k 5.0: a, b: *k, c: [*k]}": {"5": "a", "b": 5, "c": [5]},
    "x: {&k 123456789.0: a, b: *k}": {"1.2345679e+08": "a", "b": 123456789},
    "x: &a !!str 12": "12",
    # blanks, tabs and line breaks
    "x:\t1": 1,
    "x: 1\t# comment": 1,
    "x: a\tb \t c\t\n  d\t# e": "a\tb \t c d",
    "x: [a\tb\t, c\t: d]": ["a\tb", {"c": "d"}],
    "x: {\ta:\t1,\n\tb: [2,\t3]}": {"a": 1, "b": [2, 3]},
    "x: |\n  a\tb\n": "a\tb\n",
    "x: 1\r\ny: 2\r\n": 1,
    "x: 1\ry: 2\r": 1,
    "x: \u00a0a": "\u00a0a",
    "x: 'a\u2028b'": "a\u2028b",
    # scalars of several lines
    "x: a\n  b\n\n  c": "a b\nc",
    "x: >\n  a\n  b\n\n  c\n": "a b\nc\n",
    "x: |+\n  a\n\n": "a\n\n",
    "x: |-\n  a\n": "a",
    "x: |2\n    a\n": "  a\n",
    "x: |\n  a\n  ---\n  b\n": "a\n---\nb\n",
    'x: "a\n  b\\\n  c"': "a bc",
    # sequences and others
    "x: [a, b,]": ["a", "b"],
    "x: [~, null, a: 1]": [None, None, {"a": 1}],
    "x:\n-\n- a\n- - b\n  - c": [None, "a", ["b", "c"]],
    "x: {a, b}": {"a": None, "b": None},
    "x: !!set {a, b}": {"a": None, "b": None},
    "x: !!omap [a: 1]": [{"a": 1}],
    "x: !!python/object/apply:os.getcwd []": [],
    "x: !!int {a: 1}": {"a": 1},
    "x: http://a:80/b?c#d": "http://a:80/b?c#d",
    "x: 1 %a": "1 %a",
    "x: a#b #c": "a#b",
}

REFUSED = [
    *["x: .inf", "x: -.Inf", "x: +.INF", "x: .nan", "x: [.NaN]", "x: !!float .inf"],
    *["x: !!int 1.5", "x: !!float x", "x: !!bool maybe", "x: !!null x", "x: !!timestamp x", "x: !!int 2001-01-01"],
    *["x: !!float 18446744073709551615", "x: !!binary '%%'", "x: !!binary 'aG Vs'", "x: !!binary aGVsbG8"],
    *["x: {~: a}", "x: {: a}", "x: {18446744073709551615: a}", "x:\n  ? [a]\n  : b", "x:\n  ? {a: 1}\n  : b"],
    *["x: {<<: 1}", "x: {<<: ~}", "x: {<<: [1]}", "b: &b [{p: 1}]\nx: {<<: *b}"],
    *["x: *nope", "x: {&k .inf: a, b: *k}", "x: &x [*x]", "x: &x {a: *x}", "b: &b 1\n---\n" + FRAME + "x: *b"],
    *['x: "\\ud800"', 'x: "\\ud83d\\ude00"', "x: 'a\x01b'", "x: 'a\x7fb'", "x: 'a\0b'"],
    *["x:\n\ty: 1", "x: 1\n\t\ny: 2", "x:\n-\ta", "x: - a", "x: a: b", "x: [a,,b]", "x: {a: 1}b", "x: @a", "x: %a"],
    *["x: {" + "k" * 2000 + ": 1}", "x: !e!foo 12", "x: 1\n--- {a: b}", "x: 1\n-----\n", "x: " + "[" * 10_001],
]  # fmt: skip

JSON_TEXTS: dict[str, object] = {
    '[5.0, 1e3, 1E21, -0, -0.0, 9223372036854775808, 0.1]': [5, 1000, 1e21, 0, 0, 9223372036854776000, 0.1],
    "12345678901234567890123": 1.2345678901234568e22,
    '"\\ud83d\\ude00\\/"': "\U0001f600/",
    "\t{\t}\n": {},
}  # fmt: skip


def ours(text: str) -> list[Any]:
    """What we make of a text."""
    return [document.value for document in read_yaml(text)]


def as_json(values: object) -> str:
    """The text that tells 1 from 1.0 and True, which are equal in Python."""
    return json.dumps(values, sort_keys=True)


def test_scalars() -> None:
    """Each scalar has the value of the table, here and for kubectl: more than a hundred of them."""
    assert len(SCALARS) > 100
    text = FRAME + "x:\n" + "".join(f"- {scalar}\n" for scalar in SCALARS)
    (document,) = ours(text)
    told = dict(zip(SCALARS, document["x"], strict=True))
    assert as_json(told) == as_json(SCALARS)
    (theirs,) = kubectl_reads(text)
    assert as_json(dict(zip(SCALARS, theirs["x"], strict=True))) == as_json(SCALARS)


def documented() -> dict[str, str]:
    """The scalars of the first table in docs/yaml.md, and what stands beside them."""
    page = (Path(__file__).parents[3] / "docs" / "yaml.md").read_text(encoding="utf-8")
    rows = [line.strip("| ").split(" | ") for line in page.splitlines() if line.count(" | ") == 3 and "`" in line]
    pairs = [pair for row in rows if "day" not in "".join(row) for pair in (row[:2], row[2:])]
    return {scalar.strip("` "): meant.strip("` ") for written, meant in pairs for scalar in written.split(", ")}


def test_the_documented_scalars() -> None:
    """The page says what is read, and kubectl reads it so."""
    table = documented()
    assert len(table) > 30
    text = FRAME + "x:\n" + "".join(f"- {scalar}\n" for scalar in table)
    (ours_,), (theirs,) = ours(text), kubectl_reads(text)
    for (scalar, meant), value, their_value in zip(table.items(), ours_["x"], theirs["x"], strict=True):
        assert as_json(value) == as_json(their_value), scalar
        assert isinstance(value, str) if meant == "text" else as_json(value) == as_json(json.loads(meant)), scalar


@pytest.mark.parametrize(("text", "value"), SHAPES.items())
def test_shapes(text: str, value: object) -> None:
    """Keys, merges, anchors, tabs and the like mean the same here and for kubectl."""
    (document,) = ours(FRAME + text)
    assert as_json(document["x"]) == as_json(value)
    (theirs,) = kubectl_reads(FRAME + text)
    assert as_json(theirs["x"]) == as_json(value)


@pytest.mark.parametrize("text", REFUSED)
def test_what_kubectl_refuses_is_refused(text: str) -> None:
    """Each is an error with a place, and kubectl takes none of it either."""
    with pytest.raises(YamlError) as error:
        ours(FRAME + text)
    assert error.value.line >= 4
    assert error.value.column >= 1
    with pytest.raises(KubectlError):
        kubectl_reads(FRAME + text)


def json_text(value: str) -> str:
    """An object of Kubernetes in JSON."""
    return '{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "x": ' + value + "}"


@pytest.mark.parametrize(("text", "value"), JSON_TEXTS.items())
def test_a_text_that_begins_with_a_brace_is_json(text: str, value: object) -> None:
    """For kubectl it is, with the numbers, escapes and tabs of JSON."""
    (document,) = ours(json_text(text))
    assert as_json(document["x"]) == as_json(value)
    (theirs,) = kubectl_reads(json_text(text))
    assert as_json(theirs["x"]) == as_json(value)


def test_a_number_too_large_in_json() -> None:
    """In YAML it would be text; in JSON it is a number, and kubectl refuses it."""
    with pytest.raises(YamlError, match=r"line 1, column 75: the number 1e400 is too large"):
        ours(json_text("1e400"))
    with pytest.raises(KubectlError):
        kubectl_reads(json_text("1e400"))


def test_yaml_that_begins_with_a_brace() -> None:
    """A mapping in flow style is read (new versions of kubectl read it, old ones insist on JSON)."""
    assert ours("{apiVersion: v1, x: 010}") == [{"apiVersion": "v1", "x": 8}]


@pytest.mark.parametrize(
    "text",
    [
        FRAME + "---\n# nothing\n---\n\n--- # next\n" + FRAME + "x: 010",
        "\ufeff" + FRAME + "---\n\ufeff" + FRAME,
        json_text("1") + "\n\n" + json_text("2"),
        "\ufeff \n" + json_text("1"),
        "# comment\n" + json_text("010"),
        "",
        "---\n",
    ],
)
def test_documents(text: str) -> None:
    """A text has as many documents for us as for kubectl."""
    assert ours(text) == kubectl_reads(text)


@pytest.mark.parametrize("directive", ["%YAML 1.1", "%YAML 1.2", "%TAG ! tag:x,2000:"])
def test_directives(directive: str) -> None:
    """kubectl cuts a text at --- first, so that a directive stands alone."""
    with pytest.raises(YamlError, match="line 1, column 1: Kubernetes does not read directives"):
        ours(f"{directive}\n---\n{FRAME}")
    with pytest.raises(KubectlError):
        kubectl_reads(f"{directive}\n---\n{FRAME}")


@pytest.mark.parametrize(
    ("text", "lost", "said"),
    [
        (FRAME + "x: {a: 1, a: 2}", {"a": 2}, r'line 4, column 11: the key "a" is given in line 4 already'),
        (FRAME + "x: {yes: 1, true: 2}", {"true": 2}, r'line 4, column 13: the key "true" is given'),
        (FRAME + "x: {1: 1, '1': 2}", None, r'line 4, column 11: the key "1" is given'),
        (json_text('{"a": 1, "a": 2}'), {"a": 2}, r'line 1, column 84: the key "a" is given in line 1 already'),
        (json_text('"\\ud800"'), "\ufffd", r"line 1, column 75: \\ud800 is half a character"),
        (FRAME + "x: 1\n...\n" + FRAME, 1, r"line 6, column 1: expected '<document start>'"),
        (FRAME + "x: !!binary //79", "\ufffd\ufffd\ufffd", r"line 4, column 4: !!binary is not UTF-8"),
    ],
)
def test_where_kubectl_loses_something_we_refuse(text: str, lost: object, said: str) -> None:
    """kubectl keeps one of two values, one of two documents, or not the character: without a word."""
    with pytest.raises(YamlError, match=said):
        ours(text)
    theirs = kubectl_reads(text)[0]["x"]
    assert lost is None or theirs == lost


BOMB = "a: &a [" + ",".join("x" * 10) + "]\n"
for inner, outer in pairwise("abcdefgh"):
    BOMB += f"{outer}: &{outer} [" + ",".join([f"*{inner}"] * 10) + "]\n"


@pytest.mark.parametrize("times", [9, 90, 98])
def test_aliases_within_the_bound(times: int) -> None:
    """Up to 99 of 100 nodes of a small document may come from aliases."""
    text = FRAME + "b: &b [" + ",".join(["1"] * 99) + "]\nx: [" + ",".join(["*b"] * times) + "]"
    assert ours(text) == kubectl_reads(text)


@pytest.mark.parametrize("text", [BOMB, BOMB + "x: {<<: {a: *h}}"])
def test_aliases_that_explode(text: str) -> None:
    """Ten to the power of eight nodes are refused before any is made; kubectl's words are in ours."""
    with pytest.raises(YamlError, match=r"line \d+, column \d+: document contains excessive aliasing"):
        ours(FRAME + text)
    with pytest.raises(KubectlError, match="document contains excessive aliasing"):
        kubectl_reads(FRAME + text)
