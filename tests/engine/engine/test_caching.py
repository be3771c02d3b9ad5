"""Cached results are used for the same inputs and for no others; alike on every executor."""

from __future__ import annotations

import copy
import datetime as dt
import logging
import pickle
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import flowkiln
from flowkiln import Flow, Task
from flowkiln.engine.cache_validators import all_inputs, all_parameters, partial_inputs_only, partial_parameters_only
from flowkiln.engine.executors import Executor
from flowkiln.engine.flow_runner import FlowRunner
from flowkiln.engine.result import NoResult, Result
from flowkiln.engine.state import Cached, Success
from flowkiln.engine.task_runner import TaskRunner

HOUR = dt.timedelta(hours=1)
NAN = float("nan")

INPUTS: dict[str, tuple[Callable[[], Any], Callable[[], Any] | None]] = {
    # name: (an input, one that differs from it)
    "nullable": (
        lambda: pd.DataFrame({"n": pd.array([1, None], dtype="Int64")}),
        lambda: pd.DataFrame({"n": pd.array([1, 5], dtype="Int64")}),
    ),
    "missing": (lambda: pd.NA, lambda: 5),
    "masked": (lambda: np.ma.array([1, 5], mask=[0, 1]), lambda: np.ma.array([1, 5], mask=[0, 0])),
    "text": (lambda: pd.Series(["a", "b-c"]), lambda: pd.Series(["a-b", "c"])),
    "columns": (
        lambda: pd.DataFrame({"a": [1], "b": [2.0], "c": [3]}),
        lambda: pd.DataFrame({"a": [1], "b": [3], "c": [2.0]}),
    ),
    "tables": (
        lambda: {"t": [pd.DataFrame({"x": [1.0, NAN]})]},
        lambda: {"t": [pd.DataFrame({"x": [1.0, 2.0]})]},
    ),
    "arrays": (lambda: [np.array([1, 2]), np.array([3])], lambda: [np.array([1, 2]), np.array([4])]),
    "nan": (lambda: NAN, lambda: 0.0),
    "truth": (lambda: 1, lambda: True),
    "moment": (lambda: pd.Timestamp("2020", tz="UTC"), lambda: pd.Timestamp("2020")),
}


def cached_flow(makes: dict[str, Callable[[], Any]]) -> tuple[Flow, dict[str, Task]]:
    """Make a flow with a cached task for each input."""
    keep = flowkiln.task(lambda x: repr(x), name="keep", cache_for=HOUR, cache_validator=all_inputs)
    with Flow("f") as flow:
        tasks = {name: keep(flowkiln.task(make, name=name)()) for name, make in makes.items()}
    return flow, tasks


def test_only_the_same_inputs_hit(any_executor: Executor) -> None:
    """Made anew they hit; with one missing element, mask, or type of another kind they do not."""
    flow, tasks = cached_flow({name: same for name, (same, _) in INPUTS.items()})
    first = flow.run(executor=any_executor)
    states = {task: Cached(None, "from the cache", **_cache_of(first.result[task])) for task in tasks.values()}
    again = flow.run(executor=any_executor, task_states=states)
    assert {name: again.result[task].result for name, task in tasks.items()} == dict.fromkeys(tasks, "from the cache")

    changed, others = cached_flow({name: other for name, (_, other) in INPUTS.items() if other is not None})
    states = {
        others[name]: Cached(None, "from the cache", **_cache_of(first.result[task])) for name, task in tasks.items()
    }
    after = changed.run(executor=any_executor, task_states=states)
    assert type(after) is Success
    assert "from the cache" not in [after.result[task].result for task in others.values()]


def _cache_of(state: Any) -> dict[str, Any]:
    return {"cached_inputs": state.cached_inputs, "cached_result_expiration": state.cached_result_expiration}


def empty(items: list[int]) -> list[int]:
    """Take all items out of a list in place."""
    taken = list(items)
    items.clear()
    return taken


def test_a_body_that_changes_its_inputs(any_executor: Executor) -> None:
    """What counts is what they were before: the same list hits, the one that was left behind does not."""
    task = flowkiln.task(empty, cache_for=HOUR, cache_validator=all_inputs)
    with Flow("same") as same:
        emptied = task(flowkiln.task(lambda: [1, 2])())
    with Flow("left") as left:
        other = task(flowkiln.task(lambda: [1, 2][2:])())
    first = same.run(executor=any_executor).result[emptied]
    assert (type(first), first.result) == (Cached, [1, 2])
    again = same.run(executor=any_executor, task_states={emptied: first}).result[emptied]
    assert again.result == [1, 2]
    assert left.run(executor=any_executor, task_states={other: first}).result[other].result == []


def test_the_record_travels_with_its_state_and_counts_for_its_values_only() -> None:
    """Through pickle and copies; a state that got other inputs is compared by those."""
    task = flowkiln.task(empty, cache_for=HOUR, cache_validator=all_inputs)
    with Flow("f") as flow:
        bound = task(flowkiln.task(lambda: [1])())
    (edge,) = flow.edges_to(bound)
    state = TaskRunner(bound).run(upstream_states={edge: Success(result=[1])})
    for kept in (state, copy.copy(state), pickle.loads(pickle.dumps(state))):
        assert all_inputs(kept, {"items": [1]}, None)
        assert not all_inputs(kept, {"items": []}, None)
    assert isinstance(state, Cached)
    state.cached_inputs = {"items": Result([3])}
    assert all_inputs(state, {"items": [3]}, None)
    assert not all_inputs(state, {"items": [1]}, None)


@pytest.mark.parametrize(
    ("validator", "hits"),
    [
        (all_parameters, {"a": [1], "b": [1]}),
        (partial_parameters_only(validate_on=["a"]), {"a": [1], "b": [2]}),
    ],
)
def test_parameters_that_a_body_changes(validator: Any, hits: dict[str, Any]) -> None:
    """They too are compared as they were."""

    def change() -> int:
        flowkiln.context.parameters["a"].append(7)
        return 1

    changing = flowkiln.task(change, cache_for=HOUR, cache_validator=validator)
    with Flow("f", tasks=[changing]) as flow:
        flow.add_task(flowkiln.Parameter("a"))
        flow.add_task(flowkiln.Parameter("b"))
    first = FlowRunner(flow).run(parameters={"a": [1], "b": [1]}, return_tasks=[changing]).result[changing]
    assert validator(first, {}, hits)
    assert not validator(first, {}, {**hits, "a": [1, 7]})


def test_a_valid_state_comes_back_as_the_same_object() -> None:
    """Nothing of the caller's is changed."""
    state = Cached(result=1, cached_inputs={"x": Result(pd.NA)})
    task = flowkiln.task(lambda x: 2, cache_for=HOUR, cache_validator=all_inputs)
    with Flow("f") as flow:
        bound = task(flowkiln.task(lambda: pd.NA)())
    (edge,) = flow.edges_to(bound)
    assert TaskRunner(bound).run(state, {edge: Success(result=pd.NA)}) is state


def test_what_cannot_be_compared_never_hits_and_is_told_once(
    executor: Executor, caplog: pytest.LogCaptureFixture
) -> None:
    """Also if it is the same object; the warning names task, input and reason, once for all children."""
    task = flowkiln.task(lambda lock: 1, name="locked", cache_for=HOUR, cache_validator=all_inputs)
    with Flow("f") as flow:
        children = task.map(flowkiln.task(lambda: [threading.Lock(), threading.Lock()])())
    with caplog.at_level(logging.WARNING, "flowkiln"):
        child = flow.run(executor=executor).result[children].map_states[0]
        assert not all_inputs(child, child.cached_inputs, None)
        flow.run(executor=executor)
    told = [record.getMessage() for record in caplog.records if "never used again" in record.getMessage()]
    assert len(told) == 1
    assert "'locked'" in told[0]
    assert "'lock'" in told[0]
    assert "cannot pickle '_thread.lock' object" in told[0]


def test_nothing_is_said_or_digested_where_nothing_is_compared(caplog: pytest.LogCaptureFixture) -> None:
    """By the time alone, or by other names, or by a validator of one's own."""
    held = threading.Lock()
    with Flow("f") as flow:
        for validator in (None, partial_inputs_only(validate_on=["other"]), lambda state, inputs, parameters: True):
            task = flowkiln.task(lambda lock, other: 1, cache_for=HOUR, cache_validator=validator)
            task(flowkiln.task(lambda: held)(), 5)
    with caplog.at_level(logging.WARNING, "flowkiln"):
        assert type(flow.run()) is Success
    assert caplog.records == []


def test_curried_validators_travel(tmp_path: Path) -> None:
    """By plain pickle too, and keep the name of what they are."""
    validator = partial_inputs_only(validate_on=["x"])
    assert pickle.loads(pickle.dumps(validator)) == validator
    assert validator.__name__ == "partial_inputs_only"


def test_the_driver_keeps_no_record() -> None:
    """It holds the values of the inputs."""
    from flowkiln.states.state import without_result

    task = flowkiln.task(empty, cache_for=HOUR, cache_validator=all_inputs)
    with Flow("f") as flow:
        bound = task(flowkiln.task(lambda: [1])())
    (edge,) = flow.edges_to(bound)
    light = without_result(TaskRunner(bound).run(upstream_states={edge: Success(result=[1])}))
    assert "_record" not in vars(light)
    assert light._result == NoResult
