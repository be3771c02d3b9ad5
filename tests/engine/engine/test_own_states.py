from __future__ import annotations

import inspect

import pytest

import flowkiln
from flowkiln import Flow
from flowkiln.engine.executors import Executor
from flowkiln.engine.signals import ENDRUN
from flowkiln.engine.state import Failed, Paused, State, Success
from flowkiln.states import kinds
from flowkiln.states import state as states
from flowkiln.states.state import kind_of, own_class_of

from .test_conductor import watch


class QualityFailed(Failed):
    """A failure that only this module knows."""


class VeryPoor(QualityFailed):
    """A class of a class of the flow's own."""


class Approved(Success):
    """A success."""


class WaitsForBoss(Paused):
    """A state that waits."""


class Odd(State):
    """No built-in state at all."""


@pytest.mark.parametrize(
    ("state", "kind", "own"),
    [
        (Failed(), "Failed", ""),
        (QualityFailed(), "Failed", "QualityFailed"),
        (VeryPoor(), "Failed", "VeryPoor"),
        (Approved(), "Success", "Approved"),
        (WaitsForBoss(), "Paused", "WaitsForBoss"),
        (Odd(), "Pending", "Odd"),
        (State(), "Pending", "State"),
    ],
)
def test_kinds(state: State, kind: str, own: str) -> None:
    """A state counts as the nearest built-in class, and keeps the name of its own."""
    assert (kind_of(state), own_class_of(state)) == (kind, own)


def test_every_built_in_class_is_a_kind_that_the_custom_resource_takes() -> None:
    """No State class of the engine is a stranger to displays or to the cluster's status."""
    built_in = {
        cls
        for _, cls in inspect.getmembers(states, inspect.isclass)
        if issubclass(cls, State) and cls is not State and not cls.__name__.startswith("_")
    }
    assert set(states.KINDS) == built_in
    assert all(kind == cls.__name__ for cls, kind in states.KINDS.items())


def test_what_kinds_mean() -> None:
    """Displays, logs and the cluster's status share one meaning of each kind; none is of two meanings."""
    causes = {"Crashed", "Failed", "TimedOut", "ValidationFailed"}
    assert causes == kinds.ROOT_FAILURES
    assert causes | {"TriggerFailed"} == kinds.FAILURES
    assert {"Success", "Cached", "Mapped", "Skipped"} == kinds.SUCCESSES
    assert kinds.FAILURES | kinds.SUCCESSES | {"Cancelled", "Finished"} == kinds.FINISHED
    assert {"Scheduled", "Retrying", "Resume"} == kinds.WAITING
    assert {"Running", "Cancelling"} == kinds.RUNNING
    others = kinds.KNOWN - kinds.FINISHED - kinds.WAITING - kinds.RUNNING
    assert others == {"Pending", "Paused", "Submitted", "Queued", "Looped"}
    assert len(kinds.KNOWN) == sum(map(len, (kinds.FINISHED, kinds.WAITING, kinds.RUNNING, others)))


def test_records_on_every_executor(any_executor: Executor) -> None:
    """A class of the flow's own, from a body or a handler, of a task or a child, is told as kind and own name."""

    def reject() -> None:
        raise ENDRUN(QualityFailed("3 rows are empty", result=ValueError("empty")))

    def approve(task: flowkiln.Task, old: State, new: State) -> State:
        return Approved("fine") if new.is_successful() else new

    def wrap(flow: Flow, old: State, new: State) -> State:
        return VeryPoor("the whole flow", result=new.result) if new.is_failed() else new

    with Flow("own", state_handlers=[wrap]) as flow:
        flowkiln.task(reject, name="check")()
        flowkiln.task(lambda x: x, name="load", state_handlers=[approve]).map([1])
    _, notebook = watch(flow, any_executor)
    assert notebook.states("check") == ["Running", "Failed"]
    last = {(one.task, one.map_index): one for one in notebook.task_runs}
    check = last["check", -1]
    assert (check.state_class, check.title, check.message) == (
        "QualityFailed",
        "Failed (QualityFailed)",
        "3 rows are empty",
    )
    assert last["load", 0].title == "Success (Approved)"
    assert notebook.flow_runs[-1].title == "Failed (VeryPoor)"
