"""What a task can be mapped over: elements by position, and refusals that say what to write instead."""

from __future__ import annotations

import array
from collections import Counter, OrderedDict, deque, namedtuple
from typing import Any

import dask
import numpy as np
import pandas as pd
import pytest

import flowkiln
from flowkiln import Flow, flatten
from flowkiln.engine.executors import Executor
from flowkiln.engine.mapping import elements
from flowkiln.engine.mapping.elements import NoElements, element_count
from flowkiln.engine.result import NoResult
from flowkiln.engine.state import Failed, Mapped, Success

Point = namedtuple("Point", "x y")
RECORDS = np.array([(1, 2.5), (3, 4.5)], dtype=[("n", int), ("x", float)])


class UntilIndexError:
    """Has elements, and no length."""

    def __getitem__(self, index: int) -> int:
        """Give one of three elements."""
        if index >= 3:
            raise IndexError
        return index * 10


class WithoutUsefulLength(UntilIndexError):
    """Has a length that cannot be told."""

    def __len__(self) -> int:
        """Refuse."""
        raise NotImplementedError


class Endless:
    """Gives an element for every index."""

    def __getitem__(self, index: int) -> int:
        """Give the index."""
        return index


class Labelled:
    """Has keys like a dict, and is registered as nothing."""

    def keys(self) -> list[int]:
        """Give the keys."""
        return [1, 0]

    def __len__(self) -> int:
        """Count."""
        return 2

    def __getitem__(self, key: int) -> int:
        """Give a value."""
        return key


def stand_in(library: str, name: str, **members: Any) -> Any:
    """Make an object that offers what a class of a library offers; the library itself need not be installed."""
    return type(name, (), {"__module__": f"{library}.core", **members})()


BY_POSITION: list[tuple[str, Any, list[Any]]] = [
    ("a list", [1, 2], [1, 2]),
    ("a tuple", (1, 2), [1, 2]),
    ("a named tuple", Point(1, 2), [1, 2]),
    ("a string", "ab", ["a", "b"]),
    ("bytes", b"ab", [97, 98]),
    ("a bytearray", bytearray(b"ab"), [97, 98]),
    ("a memoryview", memoryview(b"ab"), [97, 98]),
    ("a range", range(2), [0, 1]),
    ("a deque", deque([1, 2]), [1, 2]),
    ("an array of the standard library", array.array("i", [1, 2]), [1, 2]),
    ("a sequence without a length", UntilIndexError(), [0, 10, 20]),
    ("a sequence whose length raises", WithoutUsefulLength(), [0, 10, 20]),
    ("a sorted Series", pd.Series([30, 10, 20]).sort_values(), [10, 20, 30]),
    ("a reversed Series", pd.Series([1, 2, 3])[::-1], [3, 2, 1]),
    ("a Series with labels", pd.Series([1, 2], index=["b", "a"]), [1, 2]),
    ("a Series with doubled labels", pd.Series([1, 2], index=[0, 0]), [1, 2]),
    ("a Series with labels from 1", pd.Series([1, 2], index=[1, 2]), [1, 2]),
    ("a Series with two levels", pd.Series([1, 2], index=pd.MultiIndex.from_tuples([(0, 1), (0, 0)])), [1, 2]),
    ("a Series of categories", pd.Series(["b", "a"], dtype="category", index=[1, 0]), ["b", "a"]),
    ("an empty Series", pd.Series([], dtype=float), []),
    ("an Index", pd.Index([5, 6]), [5, 6]),
    ("a MultiIndex", pd.MultiIndex.from_tuples([(1, 2), (3, 4)]), [(1, 2), (3, 4)]),
    ("days", pd.date_range("2020-01-01", periods=2), [pd.Timestamp("2020-01-01"), pd.Timestamp("2020-01-02")]),
    ("a Categorical", pd.Categorical(["b", "a"]), ["b", "a"]),
    ("a nullable array", pd.array([1, 2], dtype="Int64"), [1, 2]),
    ("an array", np.array([1, 2]), [1, 2]),
    ("an empty array of rows", np.zeros((0, 3)), []),
    ("an array of objects", np.array([[], {}], dtype=object), [[], {}]),
    ("records", RECORDS, [RECORDS[0], RECORDS[1]]),
    ("a string of NumPy", np.str_("ab"), ["a", "b"]),
]

REFUSED: list[tuple[str, Any, str]] = [
    ("a DataFrame", pd.DataFrame([[1, 2, 3], [4, 5, 6]]), 'DataFrame.*to_dict."records".*itertuples'),
    ("an empty DataFrame", pd.DataFrame(), "DataFrame.*to_dict"),
    ("groups", pd.DataFrame([[1, 2]]).groupby(0), "DataFrameGroupBy.*for _, group in x"),
    ("groups of a Series", pd.Series([1]).groupby([0]), "SeriesGroupBy.*for _, group in x"),
    ("an array without dimensions", np.squeeze(np.array([5])), r"ndarray.*\[x.item\(\)\]"),
    ("a number of NumPy", np.int64(5), r"int64.*\[x.item\(\)\]"),
    ("a memoryview of two dimensions", memoryview(np.zeros((2, 2))), "memoryview.*no elements by index"),
    ("a dict with keys from 0", {0: "a", 1: "b"}, r"type dict.*list\(x.items\(\)\)"),
    ("an OrderedDict", OrderedDict(a=1), r"OrderedDict.*list\(x.items\(\)\)"),
    ("a Counter", Counter("a"), r"Counter.*list\(x.items\(\)\)"),
    ("what has keys", Labelled(), r"Labelled.*list\(x.items\(\)\)"),
    ("a set", {2, 1}, r"type set.*sorted\(x\)"),
    ("a frozenset", frozenset(), r"frozenset.*sorted\(x\)"),
    ("a view of a dict", {1: 2}.values(), r"dict_values.*list\(x\)"),
    ("a generator", (n for n in [1]), r"generator.*list\(x\)"),
    ("an iterator", iter([1]), r"list_iterator.*list\(x\)"),
    ("a range without end", range(10**30), "range.*length raises OverflowError"),
    ("a number", 5, "int, which has no elements by index"),
    ("None", None, "NoneType, which has no elements by index"),
    ("a class", list, "a class; map over a list"),
    ("NoResult", NoResult, "NoResultType, which has no elements by index"),
    ("a Delayed of Dask", dask.delayed(1), r"Delayed.*compute\(\)"),
    ("a table of polars", stand_in("polars", "DataFrame", columns=["a"], shape=(1, 1)), r"DataFrame.*to_dicts"),
    ("a lazy table of polars", stand_in("polars", "LazyFrame", collect=None), r"LazyFrame.*collect\(\)"),
    ("a table of Arrow", stand_in("pyarrow", "Table", columns=[], shape=(1, 0)), r"Table.*to_pylist"),
    ("a table of another library", stand_in("vaex", "DataFrame", columns=[], __dataframe__=None), "vaex.*to_dict"),
    ("a Dataset of xarray", type("Dataset", (dict,), {"__module__": "xarray"})(), "Dataset.*isel"),
    ("an array of unknown length", stand_in("dask", "Array", chunks=(), shape=(float("nan"),)), "unknown length"),
]


@pytest.mark.parametrize(("value", "expected"), [pytest.param(v, e, id=name) for name, v, e in BY_POSITION])
def test_elements_are_taken_by_position(value: Any, expected: list[Any]) -> None:
    """Whatever the labels say."""
    assert element_count(value) == len(expected)
    assert [elements.element(value, position) for position in range(len(expected))] == expected
    assert list(elements.elements(value)) == expected


def test_rows_of_arrays() -> None:
    """The first axis counts; a row keeps its kind, and a masked element stays masked."""
    for table in (np.arange(4).reshape(2, 2), np.arange(4).reshape(2, 2).view(np.matrix)):
        first, second = elements.elements(table)
        assert type(first) is type(table)
        assert (first.tolist(), second.tolist()) in [([0, 1], [2, 3]), ([[0, 1]], [[2, 3]])]
    one, masked = elements.elements(np.ma.array([1, 2], mask=[False, True]))
    assert one == 1
    assert masked is np.ma.masked
    missing = elements.elements(pd.array([1, None], dtype="Int64"))[1]
    assert missing is pd.NA


@pytest.mark.parametrize(("value", "reason"), [pytest.param(v, e, id=name) for name, v, e in REFUSED])
def test_what_has_no_order_is_refused(value: Any, reason: str) -> None:
    """The reason names the type, and what to write instead."""
    assert element_count(value) is None
    with pytest.raises(NoElements, match=reason):
        elements.elements(value)


def test_elements_without_end_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are not counted for ever."""
    monkeypatch.setattr(elements, "MAX_PROBED_LENGTH", 1000)
    with pytest.raises(NoElements, match="more than 1000 elements"):
        elements.elements(Endless())


def as_text(x: Any) -> str:
    """Say what an element is."""
    return str(x.tolist() if hasattr(x, "tolist") else x)


SOURCES: dict[str, tuple[Any, list[str]]] = {
    "sorted": (pd.Series([30, 10, 20]).sort_values(), ["10", "20", "30"]),
    "labels": (pd.Series([1, 2], index=["b", "a"]), ["1", "2"]),
    "rows": (np.arange(4).reshape(2, 2), ["[0, 1]", "[2, 3]"]),
    "records": (RECORDS, ["(1, 2.5)", "(3, 4.5)"]),
    "days": (pd.date_range("2020-01-01", periods=1), ["2020-01-01 00:00:00"]),
    "nothing": (pd.Series([], dtype=float), []),
}
NO_SOURCES: dict[str, tuple[Any, str, str]] = {
    "table": (pd.DataFrame([[1, 2, 3], [4, 5, 6]]), "DataFrame", "itertuples"),
    "no_dimensions": (np.squeeze(np.array([5])), "ndarray", "x.item()"),
    "a_dict": ({0: 1, 1: 2}, "dict", "items()"),
    "a_set": ({1, 2}, "set", "sorted(x)"),
}


def test_maps_over_arrays_and_tables(any_executor: Executor) -> None:
    """Children get the elements in order; a table fails the mapped task, and its message says what to write."""
    child = flowkiln.task(as_text)
    with Flow("f") as flow:
        # Results of tasks, not constants: a dict or set written into a flow becomes a task of its own.
        given = {
            name: child.map(flowkiln.task(lambda value=value: value)())
            for name, (value, *_) in (SOURCES | NO_SOURCES).items()
        }
        reduced = {name: flowkiln.task(lambda xs: list(xs))(given[name]) for name in SOURCES}
    final = flow.run(executor=any_executor)
    for name, (_, expected) in SOURCES.items():
        assert type(final.result[given[name]]) is Mapped, name
        assert final.result[given[name]].result == expected
        assert final.result[reduced[name]].result == expected
    for name, (_, kind, instead) in NO_SOURCES.items():
        state = final.result[given[name]]
        assert type(state) is Failed
        assert state.message.startswith("Nothing to map over: argument 'x' is of type")
        assert kind in state.message
        assert instead in state.message


def test_flattening_arrays_and_tables(any_executor: Executor) -> None:
    """By position, inside and outside, mapped and passed on; a dict inside is refused by both, with its place."""
    nested = pd.Series([pd.Series([3, 1]).sort_values(), np.array([2])], index=["b", "a"])
    with Flow("f") as flow:
        good = flowkiln.task(lambda: nested)()
        bad = flowkiln.task(lambda: [[1], {0: 2}])()
        each = flowkiln.task(as_text).map(flatten(good))
        whole = flowkiln.task(lambda x: [as_text(one) for one in x])(flatten(good))
        bad_each = flowkiln.task(as_text).map(flatten(bad))
        bad_whole = flowkiln.task(as_text)(flatten(bad))
    final = flow.run(executor=any_executor)
    assert final.result[each].result == final.result[whole].result == ["1", "3", "2"]
    reason = "argument 'x' is to be flattened, and its element 1 is of type dict"
    assert reason in final.result[bad_each].message
    assert reason in str(final.result[bad_whole].result)


def test_an_array_in_a_flow_is_mapped_over_as_it_is(executor: Executor) -> None:
    """Without a task that makes it."""
    with Flow("f") as flow:
        result = flowkiln.task(as_text).map(pd.Series([2, 1], index=[1, 0]))
    final = flow.run(executor=executor)
    assert type(final) is Success
    assert final.result[result].result == ["2", "1"]
