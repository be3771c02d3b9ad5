"""Results on their way from one process to another."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from dask.sizeof import sizeof
from distributed.protocol import deserialize, serialize

from flowkiln import Flow, task
from flowkiln.engine.executors import DaskExecutor
from flowkiln.engine.executors.dask.transfer import TransferableUnit
from flowkiln.engine.flow_runner import FlowRunner
from flowkiln.engine.result import Result
from flowkiln.engine.runs.conductor import Conductor
from flowkiln.engine.state import Retrying, State, Success
from flowkiln.triggers import all_finished
from flowkiln.utilities.exceptions import SerializationError
from tests.engine.engine.recorder import Recorder


class Unreadable:
    """Can be pickled, and not unpickled."""

    def __reduce__(self) -> tuple[type[int], tuple[str]]:
        """Give a call that fails."""
        return int, ("no number",)


class Client:
    """Has a lock inside."""

    def __init__(self) -> None:
        self.lock = threading.Lock()


def _sent(*states: State) -> tuple[State, ...]:
    received: TransferableUnit = deserialize(*serialize(TransferableUnit(states)))
    return received.states


UNSENDABLE = [
    (threading.Lock, "A result of type lock cannot be sent to another process: cannot pickle '_thread.lock' object."),
    (Client, "A result of type Client cannot be sent to another process: the attribute 'lock' is a lock."),
    (Unreadable, "A result cannot be read in another process, where unpickling it fails"),
]


@pytest.mark.parametrize(("make", "reason"), UNSENDABLE)
def test_a_state_arrives_without_a_result_that_cannot(make: Any, reason: str) -> None:
    """It is a success still; whoever reads its result is told why it is not there, and what to do."""
    (state,) = _sent(Success("done", result=make()))
    assert type(state) is Success
    with pytest.raises(SerializationError) as caught:
        _ = state.result
    assert str(caught.value).startswith(reason)
    assert str(caught.value).endswith("Return plain data, or open it inside the task that uses it.")


def test_what_travels_beside_it_arrives() -> None:
    """And a state that waits keeps how often it was tried."""
    one, two, three = _sent(
        Success(result=threading.Lock()),
        Success(result=2),
        Retrying(run_count=3, cached_inputs={"x": Result(threading.Lock())}),
    )
    assert type(one) is Success
    assert two.result == 2
    assert isinstance(three, Retrying)
    assert three.run_count == 3


@pytest.mark.parametrize(("make", "reason"), UNSENDABLE)
def test_a_state_that_arrived_without_its_result_goes_on_to_a_third_process(make: Any, reason: str) -> None:
    """A worker gets results from any worker that has them, and weighs and sends what it got."""
    (arrived,) = _sent(Success(result=make()))
    assert sizeof(TransferableUnit((arrived,))) < 10_000
    beside = Retrying(cached_inputs={"x": Result(threading.Lock())})
    for others in ((), (beside,)):
        state, *_ = _sent(arrived, *others)
        assert type(state) is Success
        with pytest.raises(SerializationError) as caught:
            _ = state.result
        assert str(caught.value).startswith(reason)


@pytest.mark.parametrize("decides", [True, False], ids=["Flow.run", "Conductor"])
@pytest.mark.parametrize("make", [make for make, _ in UNSENDABLE])
def test_a_wanted_result_that_cannot_travel_fails_its_task_alone(
    make: Any, decides: bool, dask_processes: DaskExecutor
) -> None:
    """The flow ends with a state for every task. Who only shows results does not change by it how the run ends."""
    with Flow("unsendable") as flow:
        bad = task(lambda: make(), name="bad")()
        good = task(lambda: {"three": 3}, name="good")()
        told = task(lambda: "told", name="told", trigger=all_finished)(upstream_tasks=[bad])
    flow.set_reference_tasks([bad])
    recorder, wanted = Recorder(), (bad, good, told)
    if decides:
        runner = FlowRunner(flow)
        runner.observer = recorder
        state = runner.run(executor=dask_processes, return_tasks=wanted)
    else:
        state = Conductor(flow, dask_processes, observer=recorder, return_tasks=wanted).run()
    assert state.result[good].result == {"three": 3}
    assert state.result[told].result == "told"
    assert type(state.result[bad]).__name__ == "Failed"
    assert "another process" in str(state.result[bad].message)
    ends = [record.state for record in recorder.of("bad")]
    assert ends == ["Running", "Success", *(["Failed"] if decides else [])]
    assert state.is_failed() is decides
