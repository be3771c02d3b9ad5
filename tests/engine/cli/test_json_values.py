from __future__ import annotations

import json
import math
from collections import OrderedDict, namedtuple
from decimal import Decimal
from enum import Enum, IntEnum, StrEnum
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowkiln.cli.json_values import MAX_CHARACTERS, MAX_ELEMENTS, REPR_LIMIT, Loss, to_json

REPR, CUT = {Loss.REPR}, {Loss.CUT}
Point = namedtuple("Point", "x y")


class Rude:
    """An object whose repr raises."""

    def __repr__(self) -> str:
        raise KeyError("no")


class Sly(list):  # type: ignore[type-arg]
    """A list that lies about itself."""

    def __iter__(self) -> Any:
        raise OSError("no")

    def __len__(self) -> int:
        return -1


class Colour(StrEnum):
    RED = "red"


class Level(IntEnum):
    LOW = 1


class Shape(Enum):
    ROUND = 1


def circle() -> list[Any]:
    """A list that holds itself."""
    made: list[Any] = [1]
    made.append(made)
    return made


def nested(depth: int) -> list[Any]:
    """Lists in lists."""
    made: list[Any] = []
    for _ in range(depth):
        made = [made]
    return made


@pytest.mark.parametrize(
    ("value", "said", "losses"),
    [
        (None, None, set()),
        (True, True, set()),
        ({"a": [1, 2.5, "ü"]}, {"a": [1, 2.5, "ü"]}, set()),
        ((1, (2,)), [1, [2]], set()),
        (Point(1, 2), [1, 2], set()),
        (OrderedDict(a=1), {"a": 1}, set()),
        (Colour.RED, "red", set()),
        (Level.LOW, 1, set()),
        (np.float64(0.5), 0.5, set()),
        (np.int64(3), 3, set()),
        (2**1000, 2**1000, set()),
        (Sly([1, 2]), [1, 2], set()),
        (Shape.ROUND, "<Shape.ROUND: 1>", REPR),
        (math.nan, "nan", REPR),
        ([math.inf, -math.inf], ["inf", "-inf"], REPR),
        (np.float32("nan"), "nan", REPR),
        (10**5000, "<int of 16610 bits>", REPR),
        (Decimal("0.1"), "Decimal('0.1')", REPR),
        (Fraction(1, 3), "Fraction(1, 3)", REPR),
        (1 + 2j, "(1+2j)", REPR),
        (b"x", "b'x'", REPR),
        ({1}, "{1}", REPR),
        ({("a", 1): 2}, {"('a', 1)": 2}, REPR),
        ({1: 2, None: 3}, {"1": 2, "None": 3}, REPR),
        ({1: 2, "1": 3}, "{1: 2, '1': 3}", REPR),
        (np.zeros(2), "array([0., 0.])", REPR),
        (Rude(), "<Rude whose repr raises KeyError>", REPR),
        ({Rude(): Rude()}, {"<Rude whose repr raises KeyError>": "<Rude whose repr raises KeyError>"}, REPR),
        ("\udcff", "\\udcff", REPR),
        (circle(), [1, "[1, [...]]"], REPR),
    ],
    ids=lambda value: type(value).__name__,
)
def test_table(value: Any, said: Any, losses: set[Loss]) -> None:
    """What JSON can say is said as it is, all else as its repr."""
    made = to_json(value)
    assert (made.value, made.losses) == (said, losses)
    assert type(made.value) is type(said)
    json.dumps(made.value, allow_nan=False)


def test_a_million_elements() -> None:
    """The first thousand are given, and the number of the others."""
    made = to_json(list(range(1_000_000)))
    assert made.value == [*range(MAX_ELEMENTS), {"$more": 1_000_000 - MAX_ELEMENTS}]
    assert made.losses == CUT


def test_a_large_mapping_of_lists() -> None:
    """What is nested counts, and every container that was cut says so."""
    made = to_json({str(number): list(range(600)) for number in range(10)})
    assert made.value == {"0": list(range(600)), "1": [*range(398), {"$more": 202}], "$more": 8}
    assert made.losses == CUT


def test_long_texts() -> None:
    """Text is cut with an ellipsis, and what comes after it is left out."""
    made = to_json(["x" * 2 * MAX_CHARACTERS, "next"])
    assert made.value == ["x" * (MAX_CHARACTERS - 1) + "…", {"$more": 1}]
    assert made.losses == CUT


@pytest.mark.parametrize(
    "value",
    [b"x" * 10**7, bytearray(10**7), set(range(10**6)), frozenset(range(10**6)), Decimal(10**400), np.arange(10**6)],
    ids=lambda value: type(value).__name__,
)
def test_long_reprs_are_cut(value: Any) -> None:
    """A repr has a documented length."""
    made = to_json(value)
    assert isinstance(made.value, str)
    assert len(made.value) <= REPR_LIMIT
    assert made.value.endswith("…") or "..." in made.value


def test_depth() -> None:
    """What is too deep ends in a repr, also where a repr would be too deep for Python."""
    assert '"[[[[' in json.dumps(to_json(nested(60)).value)
    assert '"<list whose repr raises RecursionError>"' in json.dumps(to_json(nested(100_000)).value)


plain_json = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**600), 2**600) | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner),
    max_leaves=30,
)
anything = st.recursive(
    plain_json
    | st.floats()
    | st.text(st.characters())
    | st.binary()
    | st.complex_numbers()
    | st.decimals()
    | st.datetimes()
    | st.builds(Rude)
    | st.integers(),
    lambda inner: (
        st.lists(inner)
        | st.tuples(inner, inner)
        | st.dictionaries(st.integers() | st.text() | st.tuples(st.integers()) | st.floats(), inner)
        | st.frozensets(st.integers())
    ),
    max_leaves=40,
)


@given(plain_json)
def test_json_comes_back(value: Any) -> None:
    """What is JSON already is not changed."""
    made = to_json(value)
    assert made.losses == set()
    assert json.loads(json.dumps(made.value, allow_nan=False)) == value


@given(anything)
def test_whatever_it_is(value: Any) -> None:
    """All values give valid JSON that UTF-8 can carry, and without a loss what is read is equal to the value."""
    made = to_json(value)
    text = json.dumps(made.value, allow_nan=False, ensure_ascii=False)
    text.encode()
    if not made.losses:
        assert json.loads(text) == _with_lists(value)


def _with_lists(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [_with_lists(element) for element in value]
    if isinstance(value, dict):
        return {key: _with_lists(element) for key, element in value.items()}
    return value
