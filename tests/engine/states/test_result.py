"""Results: "nothing was computed" and "the result is None" stay apart."""

from __future__ import annotations

import copy
import pickle

import cloudpickle
import numpy as np
import pandas as pd
import pytest

from flowkiln.engine.result import NoResult, NoResultType, Result
from flowkiln.states.result import same_value


def test_a_result_holds_its_value_and_handler() -> None:
    """The wrapper gives back what it was made with, and itself as a result."""
    result = Result(2, result_handler="h")
    assert (result.value, result.result_handler) == (2, "h")
    assert result.to_result() is result
    assert repr(Result(2)) == "<Result: 2>"


def test_the_value_is_required() -> None:
    """There is no result without a value: that is what NoResult is for."""
    with pytest.raises(TypeError):
        Result()  # type: ignore[call-arg]


def test_no_result_is_not_a_result_of_none() -> None:
    """None is a result."""
    assert NoResult != Result(None)
    assert Result(None).value is None
    assert NoResult.value is NoResult
    assert NoResult.to_result() is NoResult


def test_no_result_has_no_handler() -> None:
    """Nothing was computed, so nobody handles it."""
    with pytest.raises(AttributeError):
        NoResult.result_handler  # noqa: B018


def test_no_result_names_itself() -> None:
    """People read it in logs."""
    assert repr(NoResult) == "<No result>"
    assert str(NoResult) == "NoResult"


@pytest.mark.parametrize("dumps", [pickle.dumps, cloudpickle.dumps])
@pytest.mark.parametrize("result", [NoResult, Result(3), Result([1], result_handler="h")])
def test_results_survive_pickling(dumps: object, result: Result) -> None:
    """A copy from another process means the same."""
    assert pickle.loads(dumps(result)) == result  # type: ignore[operator]


def test_all_instances_of_no_result_are_equal() -> None:
    """Copies are compared, never asked for identity."""
    assert NoResultType() == NoResult
    assert copy.deepcopy(NoResult) == NoResult
    assert hash(NoResultType()) == hash(NoResult)


def test_equality_is_by_value_and_handler() -> None:
    """Two results are the same if value and handler are."""
    assert Result(1) == Result(1)
    assert Result(1) != Result(2)
    assert Result(1, "a") != Result(1, "b")


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (np.array([1, 2]), np.array([1, 2]), True),
        (np.array([1, 2]), np.array([1, 3]), False),
        (np.array([1, 2]), np.array([1, 2, 3]), False),
        (np.array([1, 2]), None, False),
        (np.array([1, 1]), 1, False),
        (np.array([1, 2]), [1, 2], False),
        (np.array([]), None, False),
        (np.array([]), np.array([]), True),
        (np.int64(1), 1, True),
        ([np.array([1, 2])], [np.array([1, 2])], True),
        (float("nan"), float("nan"), False),
        ({"a": [1]}, {"a": [1]}, True),
        (np.array([1.0, np.nan]), np.array([1.0, np.nan]), True),
        (np.ma.array([1, 5], mask=[0, 1]), np.ma.array([1, 5], mask=[0, 0]), False),
        (np.ma.array([1, 5], mask=[0, 1]), np.ma.array([1, 5], mask=[0, 1]), True),
        (pd.NA, pd.NA, True),
        (pd.NA, 5, False),
        ([pd.NA], [5], False),
        (pd.array([1, None], dtype="Int64"), pd.array([1, 5], dtype="Int64"), False),
        (pd.array([1, None], dtype="Int64"), pd.array([1, None], dtype="Int64"), True),
        (pd.DataFrame({"a": [1, pd.NA]}), pd.DataFrame({"a": [1, 5]}), False),
        ({"t": pd.DataFrame({"a": [1]})}, {"t": pd.DataFrame({"a": [1]})}, True),
        ({"t": pd.DataFrame({"a": [1]})}, {"t": pd.DataFrame({"a": [2]})}, False),
        ([np.array([1, 2]), object()], [np.array([1, 2]), object()], False),
    ],
)
def test_arrays_are_compared_element_by_element(one: object, other: object, same: bool) -> None:
    """Their `==` is no truth value; what cannot be compared counts as different."""
    assert same_value(one, other) is same
    assert (Result(one) == Result(other)) is same
