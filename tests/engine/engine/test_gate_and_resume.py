"""Closing and opening the gate of a run, and letting paused task runs go on, on every executor."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from flowkiln import Flow, task, unmapped
from flowkiln.engine.driver import (
    Drained,
    Driver,
    Finish,
    GateChanged,
    InEdge,
    Node,
    Outcome,
    RunGraph,
    SetGate,
    Started,
    StartRequested,
    SubmitUnits,
    UnitEnded,
)
from flowkiln.engine.driver.units import ResumedState, StateRef
from flowkiln.engine.executors import Executor
from flowkiln.engine.runs.conductor import Conductor
from flowkiln.engine.signals import PAUSE
from flowkiln.engine.state import Paused, Success
from flowkiln.states.records import FlowRunRecord, TaskRunRecord
from flowkiln.triggers import manual_only
from flowkiln.utilities.tasks import pause_task


@task
def numbers(n: int) -> list[int]:
    """Give the elements of a map."""
    return list(range(n))


@task
def leave_a_mark(x: int, marks: str, signs: str) -> int:
    """Show that the body ran; wait until the gate is being closed, and be slow until it is opened."""
    with (Path(marks) / f"{x}").open("a") as file:
        file.write("x")
    while not (Path(signs) / "closing").exists():
        time.sleep(0.01)
    if not (Path(signs) / "opening").exists():
        time.sleep(0.5)
    return x


@task(trigger=manual_only)
def by_hand(x: int) -> int:
    """Wait for somebody, then add one."""
    return x + 1


@task
def asks_in_between(x: int) -> int:
    """Pause in the body; after that, double."""
    pause_task()
    return 2 * x


class Watcher:
    """Lets a test wait for what a run tells."""

    def __init__(self) -> None:
        self.paused = threading.Semaphore(0)
        self.messages: list[str] = []

    def on_task_runs(self, records: Sequence[TaskRunRecord]) -> None:
        """Of no interest here."""

    def on_flow_run(self, record: FlowRunRecord) -> None:
        """See that the run waits."""
        if record.state == "Paused":
            self.messages.append(record.message)
            self.paused.release()


def _in_thread(conductor: Conductor) -> tuple[threading.Thread, list[object]]:
    ended: list[object] = []
    thread = threading.Thread(target=lambda: ended.append(conductor.run()), daemon=True)
    thread.start()
    return thread, ended


def _wait_for_a_file(folder: Path) -> None:
    deadline = time.monotonic() + 240
    while not any(folder.iterdir()):
        assert time.monotonic() < deadline, f"nothing came into {folder}"
        time.sleep(0.01)


def test_a_closed_gate_lets_the_rest_wait(any_executor: Executor, tmp_path: Path) -> None:
    """After closing, what runs ends and nothing starts; after opening, each body has run exactly once."""
    marks, signs = tmp_path / "marks", tmp_path / "signs"
    for folder in (marks, signs):
        folder.mkdir()
    with Flow("gate") as flow:
        mapped = leave_a_mark.map(numbers(60), marks=unmapped(str(marks)), signs=unmapped(str(signs)))
    watcher = Watcher()
    conductor = Conductor(flow, any_executor, observer=watcher, return_tasks=(mapped,))
    thread, ended = _in_thread(conductor)
    _wait_for_a_file(marks)
    conductor.post(GateChanged(open=False))
    (signs / "closing").touch()
    assert watcher.paused.acquire(timeout=240)
    before = len(list(marks.iterdir()))
    assert 0 < before < 60
    time.sleep(0.2)
    assert len(list(marks.iterdir())) == before
    (signs / "opening").touch()
    conductor.post(GateChanged(open=True))
    thread.join(60)
    (state,) = ended
    assert state.result[mapped].result == list(range(60))  # type: ignore[attr-defined]
    assert {file.read_text() for file in marks.iterdir()} == {"x"}


def test_pausing_and_resuming_twice(any_executor: Executor) -> None:
    """A manual trigger, then a pause in a body behind it: each goes on when asked for, with its inputs."""
    with Flow("by hand") as flow:
        first = by_hand(1)
        second = asks_in_between(first)
    watcher = Watcher()
    conductor = Conductor(flow, any_executor, observer=watcher, return_tasks=(first, second), until_resumed=True)
    thread, ended = _in_thread(conductor)
    for local_id in ("by-hand", "asks-in-between"):
        assert watcher.paused.acquire(timeout=240)
        assert local_id in watcher.messages[-1]
        conductor.post(StartRequested(local_id))
    thread.join(60)
    (state,) = ended
    assert state.is_successful()  # type: ignore[attr-defined]
    assert state.result[second].result == 4  # type: ignore[attr-defined]


class TestDriver:
    """The same as values."""

    GRAPH = RunGraph((Node("a", (), (1,)), Node("b", (InEdge(0, "x"),), ())))

    def test_nothing_is_submitted_while_the_gate_is_closed(self) -> None:
        """What comes back unrun is kept until the gate opens, and the driver says when nothing runs any more."""
        driver = Driver(self.GRAPH, "r")
        (submitted,) = driver.handle(Started(0))
        assert isinstance(submitted, SubmitUnits)
        assert driver.handle(GateChanged(False, 1)) == [SetGate(False)]
        a, b = submitted.units
        assert driver.handle(UnitEnded(a.key, (Outcome(0, -1, 1, Success()),), 2)) == []
        assert driver.handle(UnitEnded(b.key, (), 3)) == [Drained()]
        opened, again = driver.handle(GateChanged(True, 4))
        assert opened == SetGate(True)
        assert isinstance(again, SubmitUnits)
        assert [unit.members[0].node for unit in again.units] == [1]

    @pytest.mark.parametrize("asked", ["b", "nobody"])
    def test_only_paused_task_runs_can_be_started(self, asked: str) -> None:
        """A request for one that is not Paused, or not there, changes nothing."""
        driver = Driver(self.GRAPH, "r")
        driver.handle(Started(0))
        assert driver.handle(StartRequested(asked, now=1)) == []

    def test_a_paused_one_starts_from_what_it_left_behind(self) -> None:
        """Its next visit gets a Resume with the inputs that its paused state holds."""
        driver = Driver(RunGraph((Node("a"),)), "r")
        (submitted,) = driver.handle(Started(0))
        assert isinstance(submitted, SubmitUnits)
        key = submitted.units[0].key
        paused = PAUSE("wait").state
        assert isinstance(paused, Paused)
        assert driver.handle(UnitEnded(key, (Outcome(0, -1, 1, paused),), 1)) == [Finish(("a",))]
        (again,) = driver.handle(StartRequested("a", now=2))
        assert isinstance(again, SubmitUnits)
        assert again.units[0].members[0].initial == ResumedState(StateRef(key, 0))
        assert again.units[0].needs == (key,)
