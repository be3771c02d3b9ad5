from __future__ import annotations

import datetime as dt
import inspect
from collections.abc import Callable

import pytest

import flowkiln
from flowkiln import Flow
from flowkiln.engine import state as public
from flowkiln.engine.executors import Executor
from flowkiln.engine.signals import ENDRUN
from flowkiln.engine.state import Cached, Failed, Mapped, Paused, Retrying, Skipped, State, Success
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


class Later(Retrying):
    """Another attempt."""


class Reused(Cached):
    """A result from elsewhere."""


class NotToday(Skipped):
    """A skip."""


class Fanned(Mapped):
    """A mapped parent."""


class TooManyRows(VeryPoor):
    """A state with a constructor and a colour of its own."""

    color = "#123456"

    def __init__(self, rows: int, *, station: str) -> None:
        super().__init__(f"{rows} rows of {station} are empty", result=ValueError(station))
        self.rows = rows


class Silent(Failed):
    """A state whose constructor does not call the one of State."""

    def __init__(self) -> None:
        self.rows = 3


Misnamed = type("Success", (Failed,), {"__module__": __name__, "__qualname__": "Misnamed"})


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
        (Later(run_count=1), "Retrying", "Later"),
        (Reused(), "Cached", "Reused"),
        (NotToday(), "Skipped", "NotToday"),
        (Fanned(), "Mapped", "Fanned"),
        (TooManyRows(3, station="Seattle"), "Failed", "TooManyRows"),
        (Silent(), "Failed", "Silent"),
        (Misnamed(), "Failed", "Success"),
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
    assert set(public.__all__) == {"State", *states.KINDS.values()}


def test_what_kinds_mean() -> None:
    """Displays, logs and the cluster's status share one meaning of each kind; none is of two meanings."""
    assert {"Crashed", "Failed", "TimedOut", "ValidationFailed"} <= kinds.ROOT_FAILURES
    assert kinds.ROOT_FAILURES | {"TriggerFailed"} == kinds.FAILURES
    assert {"Success", "Cached", "Mapped", "Skipped"} <= kinds.SUCCESSES
    assert kinds.FAILURES | kinds.SUCCESSES | {"Cancelled", "Finished"} <= kinds.FINISHED
    assert {"Scheduled", "Retrying", "Resume"} <= kinds.WAITING
    assert {"Running", "Cancelling"} <= kinds.RUNNING
    others = kinds.KNOWN - kinds.FINISHED - kinds.WAITING - kinds.RUNNING
    assert {"Pending", "Paused", "Submitted", "Queued", "Looped"} <= others
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


def test_every_family_on_every_executor(any_executor: Executor) -> None:
    """Subclasses of any built-in class, whatever their constructors, are told with kind, name and message."""

    def ends_as(make: Callable[[], State]) -> Callable[[], None]:
        def body() -> None:
            if not (make is later and flowkiln.context["task_run_count"] > 1):
                raise ENDRUN(make())

        return body

    def later() -> State:
        return Later("not yet", start_time=dt.datetime.now(dt.UTC), run_count=1)

    def fan(task: flowkiln.Task, old: State, new: State) -> State:
        return Fanned("fanned", map_states=new.map_states) if type(new) is Mapped else new

    states: dict[str, Callable[[], State]] = {
        "rows": lambda: TooManyRows(3, station="Seattle"),
        "silent": Silent,
        "misnamed": lambda: Misnamed("not what it is called"),
        "skip": lambda: NotToday("sunday"),
        "reuse": lambda: Reused("from elsewhere", result=5),
        "later": later,
    }
    with Flow("families") as flow:
        for name, make in states.items():
            flowkiln.task(ends_as(make), name=name)()
        flowkiln.task(lambda x: x, name="fan", state_handlers=[fan]).map([1, 2])
    final, notebook = watch(flow, any_executor)
    last = {(one.task, one.map_index): one for one in notebook.task_runs}
    assert last["rows", -1].title == "Failed (TooManyRows)"
    assert last["rows", -1].message == "3 rows of Seattle are empty"
    assert last["silent", -1].title == "Failed (Silent)"
    assert last["misnamed", -1].title == "Failed (Success)"
    assert last["skip", -1].title == "Skipped (NotToday)"
    assert last["reuse", -1].title == "Cached (Reused)"
    assert [one.title for one in notebook.task_runs if one.task == "later"] == [
        "Running",
        "Retrying (Later)",
        "Running",
        "Success",
    ]
    assert last["fan", -1].title == "Mapped (Fanned)"
    assert final.is_failed()
