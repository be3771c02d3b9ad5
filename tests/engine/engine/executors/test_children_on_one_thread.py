"""Children of a map that travel together on one thread: nobody sees it, but that it is quick."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

import flowkiln
from flowkiln import Flow, Task, task
from flowkiln.engine.driver import GateChanged
from flowkiln.engine.executors import LocalExecutor, session
from flowkiln.engine.runs.conductor import Conductor
from flowkiln.states.records import FlowRunRecord, TaskRunRecord

COUNT = 40


class Journal:
    """Notes what bodies do, and what is told of them, in one order."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.conductor: Conductor | None = None

    def on_task_runs(self, records: Sequence[TaskRunRecord]) -> None:
        """Note the states of children."""
        self.lines.extend(f"{one.state} {one.map_index}" for one in records if one.map_index >= 0)

    def on_flow_run(self, record: FlowRunRecord) -> None:
        """Go on once the run is drained."""
        if record.state == "Paused" and self.conductor is not None:
            self.lines.append("drained")
            self.conductor.post(GateChanged(True))


def mapped(body: Any) -> tuple[Flow, Task]:
    """Make a flow that maps a body over numbers."""
    with Flow("f") as flow:
        children = task(body).map(list(range(COUNT)))
    return flow, children


def test_a_map_takes_few_units(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each costs more than the pipeline of a child."""
    made: list[int] = []
    submit = session.SequentialSession.submit

    def counted(self: session.SequentialSession, units: Any) -> None:
        made.extend(len(unit.members) for unit in units)
        submit(self, units)

    monkeypatch.setattr(session.SequentialSession, "submit", counted)
    flow, children = mapped(lambda x: x + 1)
    final = flow.run(executor=LocalExecutor())
    assert final.result[children].result == list(range(1, COUNT + 1))
    assert max(made) == COUNT


def test_each_child_is_told_when_it_ends() -> None:
    """Before the next one begins, as if it travelled by itself."""
    journal = Journal()
    flow, _ = mapped(lambda x: journal.lines.append(f"body {x}"))
    Conductor(flow, LocalExecutor(), observer=journal).run()
    assert journal.lines == [line for x in range(COUNT) for line in (f"Running {x}", f"body {x}", f"Success {x}")]


def test_what_is_asked_for_meanwhile_is_done_before_the_next_child() -> None:
    """With the gate closed by a body, no other one begins; the rest goes once it is open."""
    journal = Journal()

    def body(x: int) -> None:
        journal.lines.append(f"body {x}")
        if x == 3:
            assert journal.conductor is not None
            journal.conductor.post(GateChanged(False))

    flow, _ = mapped(body)
    journal.conductor = Conductor(flow, LocalExecutor(), observer=journal)
    assert journal.conductor.run().is_successful()
    bodies = [line for line in journal.lines if line.startswith(("body", "drained"))]
    assert bodies[:5] == ["body 0", "body 1", "body 2", "body 3", "drained"]
    assert sorted(bodies[5:]) == sorted(f"body {x}" for x in range(4, COUNT))


def test_a_child_still_knows_its_own_run() -> None:
    """Its index and its name are in the context of each."""
    names: list[str] = []
    flow, _ = mapped(lambda x: names.append(flowkiln.context.task_full_name))
    flow.run(executor=LocalExecutor())
    assert sorted(names) == sorted(f"<lambda>[{x}]" for x in range(COUNT))
