"""Digests of values: alike for the same type and content, in every process; none where there is nothing to compare."""

from __future__ import annotations

import dataclasses
import datetime as dt
import decimal
import enum
import functools
import os
import pathlib
import subprocess
import sys
import threading
from collections import Counter, OrderedDict, deque, namedtuple
from collections.abc import Callable
from typing import Any
from zoneinfo import ZoneInfo

import cloudpickle
import dask.array
import numpy as np
import pandas as pd
import pytest

from flowkiln.states.digests import NoDigest, digest

Point = namedtuple("Point", "x y")
NAN = float("nan")


@dataclasses.dataclass
class Pair:
    """Two values."""

    x: Any
    y: Any = None


class Plain:
    """An object with whatever attributes."""

    def __init__(self, **attributes: Any) -> None:
        self.__dict__.update(attributes)

    def method(self) -> int:
        """Do nothing."""
        return 1


class Slotted:
    """An object without a dict."""

    __slots__ = ("x",)

    def __init__(self, x: Any) -> None:
        self.x = x


class Color(enum.Enum):
    """Two colours."""

    RED = 1
    BLUE = 2


def adder(n: int) -> Callable[[int], int]:
    """Make a function with a closure."""
    return lambda x: x + n


def masked_over(value: int) -> Any:
    """Make a nullable array whose second value is missing; `value` lies under the mask."""
    return pd.arrays.IntegerArray(np.array([1, value]), np.array([False, True]))


# Made anew at each call, so that nothing is the same only because it is the same object.
DISTINCT: list[Callable[[], Any]] = [
    lambda: 1,
    lambda: True,
    lambda: 1.0,
    lambda: "1",
    lambda: b"1",
    lambda: None,
    lambda: 0.0,
    lambda: -0.0,
    lambda: NAN,
    lambda: 10**5000,
    lambda: [10**5000],
    lambda: "\udce9",
    list,
    lambda: [1],
    lambda: (1,),
    lambda: [[1]],
    lambda: [1, NAN],
    lambda: {"a": 1},
    lambda: {"a": 1, "b": [2]},
    lambda: {1: "a", "1": "b"},
    lambda: {"a", "b"},
    lambda: frozenset({"a", "b"}),
    lambda: OrderedDict(a=1, b=2),
    lambda: OrderedDict(b=2, a=1),
    lambda: Counter("ab"),
    lambda: Point(1, 2),
    lambda: deque([1], 3),
    lambda: range(3),
    lambda: slice(1, 2),
    lambda: memoryview(b"ab"),
    lambda: bytearray(b"ab"),
    lambda: decimal.Decimal("1.0"),
    lambda: decimal.Decimal("1.00"),
    lambda: pathlib.Path("a"),
    lambda: dt.date(2020, 1, 1),
    lambda: dt.datetime(2020, 1, 1),
    lambda: dt.datetime(2020, 1, 1, tzinfo=dt.UTC),
    lambda: dt.datetime(2020, 1, 1, tzinfo=ZoneInfo("Europe/Berlin")),
    lambda: dt.timedelta(days=1),
    lambda: Color.RED,
    lambda: Color.BLUE,
    lambda: Pair(1),
    lambda: Pair(1, [NAN]),
    lambda: Plain(x=1),
    lambda: Plain(x=2),
    lambda: Plain(x=np.array([1])),
    lambda: Slotted(1),
    lambda: Slotted(2),
    lambda: ValueError("no"),
    lambda: len,
    lambda: Plain,
    lambda: Plain(x=1).method,
    lambda: adder,
    lambda: adder(1),
    lambda: adder(2),
    lambda: lambda x: x + 1,
    lambda: lambda x: x + 2,
    lambda: functools.partial(adder, 1),
    lambda: np,
    lambda: np.int64(1),
    lambda: np.int32(1),
    lambda: np.array(1),
    lambda: np.array([1, 2]),
    lambda: np.array([1, 2], dtype="i4"),
    lambda: np.array([1.0, NAN]),
    lambda: np.array([1.0, 2.0]),
    lambda: np.array([0.0]),
    lambda: np.array([-0.0]),
    lambda: np.array([1 + 1j, complex(NAN, 1)]),
    lambda: np.array([1 + 1j, complex(NAN, 2)]),
    lambda: np.array([[1], [2]]),
    lambda: np.array([[1], [2]]).view(np.matrix),
    lambda: np.array(["a", "b-c"], dtype=object),
    lambda: np.array(["a-b", "c"], dtype=object),
    lambda: np.array(["a", "b-c"]),
    lambda: np.array([1, None], dtype=object),
    lambda: np.array([pd.NA, 5], dtype=object),
    lambda: np.array([], dtype="U0"),
    lambda: np.array([(1, 2.0)], dtype=[("n", "i1"), ("x", float)]),
    lambda: np.array([(1, 3.0)], dtype=[("n", "i1"), ("x", float)]),
    lambda: np.array(["2020"], dtype="M8[D]"),
    lambda: np.array(["2020"], dtype="M8[s]"),
    lambda: np.ma.array([1, 5], mask=[False, True]),
    lambda: np.ma.array([1, 5], mask=[False, False]),
    lambda: np.ma.array([1, 5], mask=[False, True], fill_value=7),
    lambda: np.longdouble(1) / 3,
    lambda: [np.array([1]), np.array([2])],
    lambda: {"table": pd.DataFrame({"a": [NAN]})},
    lambda: pd.NA,
    lambda: pd.NaT,
    lambda: pd.Timestamp("2020-01-01"),
    lambda: pd.array([1, None], dtype="Int64"),
    lambda: pd.array([1, 5], dtype="Int64"),
    lambda: pd.array([1, 5], dtype="Int32"),
    lambda: pd.array([1.0, NAN]),
    lambda: pd.array(["a", None], dtype="string"),
    lambda: pd.array(["a", "b"], dtype="string"),
    lambda: pd.Categorical(["a", "b"]),
    lambda: pd.Categorical(["a", "b"], ordered=True),
    lambda: pd.Categorical(["a", "b"], categories=["b", "a"]),
    lambda: pd.arrays.IntervalArray.from_breaks([0, 1]),
    lambda: pd.arrays.SparseArray([0, 1]),
    lambda: pd.period_range("2020", periods=2, freq="D"),
    lambda: pd.date_range("2020", periods=2, tz="UTC"),
    lambda: pd.date_range("2020", periods=2, tz="Europe/Berlin"),
    lambda: pd.RangeIndex(2),
    lambda: pd.Index([0, 1]),
    lambda: pd.Index([0, 1], name="n"),
    lambda: pd.MultiIndex.from_tuples([(1, 2)]),
    lambda: pd.MultiIndex.from_tuples([(1, 2)], names=["a", "b"]),
    lambda: pd.Series([1, 2]),
    lambda: pd.Series([1, 2], name="n"),
    lambda: pd.Series([1, 2], index=[1, 0]),
    lambda: pd.Series(["a", "b-c"]),
    lambda: pd.Series(["a-b", "c"]),
    lambda: pd.DataFrame(),
    lambda: pd.DataFrame({"a": [1], "b": [3.0], "c": [2]}),
    lambda: pd.DataFrame({"a": [1], "b": [2], "c": [3.0]}),
    lambda: pd.DataFrame({"b": [3.0], "a": [1], "c": [2]}),
    lambda: pd.DataFrame([[1, 2]], columns=["a", "a"]),
    lambda: pd.DataFrame({"n": pd.array([1, None], dtype="Int64")}),
    lambda: pd.DataFrame({"n": pd.array([1, 5], dtype="Int64")}),
]


def test_each_value_has_a_digest_of_its_own() -> None:
    """Types and contents that differ are told apart, and the same one made twice is the same."""
    seen: dict[str, int] = {}
    for number, make in enumerate(DISTINCT):
        found = digest(make())
        assert found == digest(make()), f"{make()!r} made twice"
        assert found not in seen, f"{make()!r} and {DISTINCT[seen[found]]()!r}"
        seen[found] = number


def test_a_copy_through_pickle_is_the_same() -> None:
    """As it comes back from a worker."""
    for make in DISTINCT:
        if not isinstance(make(), memoryview):
            assert digest(cloudpickle.loads(cloudpickle.dumps(make()))) == digest(make()), repr(make())


SAME: list[tuple[str, Callable[[], Any], Callable[[], Any]]] = [
    ("the order of a dict", lambda: {"a": 1, "b": 2}, lambda: {"b": 2, "a": 1}),
    ("the order of a set", lambda: {"a", "b", "c"}, lambda: {"c", "b", "a"}),
    ("how a set came about", lambda: {0, 8}, lambda: {8, 0}),
    ("what is under a mask", lambda: masked_over(0), lambda: masked_over(77)),
    (
        "what is under a mask of NumPy",
        lambda: np.ma.array([1, 5], mask=[False, True]),
        lambda: np.ma.array([1, 7], mask=[False, True]),
    ),
    ("the sign of a NaN", lambda: np.array([NAN]), lambda: -np.array([NAN])),
    ("the order in memory", lambda: np.array([[1, 2], [3, 4]]), lambda: np.array([[1, 3], [2, 4]]).T),
    ("a slice", lambda: np.array([1, 3]), lambda: np.array([1, 2, 3])[::2]),
    (
        "how columns are kept",
        lambda: pd.DataFrame({"a": [1], "b": [2.0], "c": [3]}),
        lambda: pd.DataFrame({"a": [1], "b": [2.0]}).assign(c=3),
    ),
    (
        "levels that are not used",
        lambda: pd.MultiIndex.from_tuples([(1, 2)]),
        lambda: pd.MultiIndex.from_tuples([(1, 2), (3, 4)])[:1],
    ),
    ("one object twice", lambda: [[1]] * 2, lambda: [[1], [1]]),
]


@pytest.mark.parametrize(("one", "other"), [pytest.param(o, t, id=name) for name, o, t in SAME])
def test_what_is_no_content(one: Callable[[], Any], other: Callable[[], Any]) -> None:
    """What a library leaves undefined, or chooses by itself, makes no difference."""
    assert digest(one()) == digest(other())


def endless() -> list[Any]:
    """Make a list that contains itself."""
    items: list[Any] = []
    items.append(items)
    return items


def deep(levels: int) -> list[Any]:
    """Make lists in lists."""
    items: list[Any] = []
    for _ in range(levels):
        items = [items]
    return items


NONE: list[tuple[Callable[[], Any], str]] = [
    (threading.Lock, "cannot pickle"),
    (lambda: [Plain(lock=threading.Lock())], "lock has no content"),
    (lambda: {"a": (n for n in [1])}, "generator can be read only once"),
    (lambda: iter([1]), "read only once"),
    (object, "has no content"),
    (lambda: pd.Series([object()]), "has no content"),
    (endless, "list contains itself"),
    (lambda: deep(100_000), "nested too deeply"),
]


@pytest.mark.parametrize(("make", "reason"), NONE)
def test_what_has_no_digest(make: Callable[[], Any], reason: str) -> None:
    """The reason names the part."""
    with pytest.raises(NoDigest, match=reason):
        digest(make())


def test_what_is_shared_is_digested_once() -> None:
    """A value that is small in memory, and would be 2**60 lists if each were looked at."""
    shared: list[Any] = []
    for _ in range(60):
        shared = [shared, shared]
    assert digest(shared)


def test_a_function_of_a_script_counts_with_its_globals() -> None:
    """Another value of a global that it uses makes it another function; an unused one does not."""
    code = "def use(): return factor"
    made = []
    for scope in ({"factor": 1}, {"factor": 2}, {"factor": 1, "other": 3}):
        exec(code, {**scope, "__name__": "__main__"}, scope)
        made.append(digest(scope["use"]))
    assert made[0] != made[1]
    assert made[0] == made[2]


def test_a_class_of_a_function_counts_with_its_methods() -> None:
    """Its name alone says little."""

    def make(n: int) -> Any:
        class Local:
            factor = n

        return Local()

    assert digest(make(1)) == digest(make(1))
    assert digest(make(1)) != digest(make(2))


def test_collections_of_dask_are_their_graphs() -> None:
    """They are not computed to be compared."""
    assert digest(dask.array.ones(3)) == digest(dask.array.ones(3))
    assert digest(dask.array.ones(3)) != digest(dask.array.zeros(3))


_IN_ANOTHER_PROCESS = """
import datetime as dt, numpy as np, pandas as pd
from flowkiln.states.digests import digest
print(digest([{"a", "b", "c"}, frozenset("xyz"), {"k": np.array(["a", None], dtype=object)}, dt.date(2020, 1, 1),
    pd.DataFrame({"s": ["x", None], "n": pd.array([1, None], dtype="Int64")})]))
"""


def test_another_process_finds_the_same() -> None:
    """Whatever its hashes are."""
    found = {
        subprocess.run(
            [sys.executable, "-c", _IN_ANOTHER_PROCESS],
            env={**os.environ, "PYTHONHASHSEED": seed},
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(found) == 1
