from __future__ import annotations

import io
from collections.abc import Sequence

import pytest
from rich.console import Console

from flowkiln.cli.output import order
from flowkiln.cli.output.lines import Line
from flowkiln.cli.output.order import OrderedLog
from flowkiln.cli.output.printing import LinePrinting
from flowkiln.common.run_facts import RunFacts
from flowkiln.states.records import FlowRunRecord, TaskRunRecord
from tests.engine.cli.builders import record


class Shown(LinePrinting):
    """Keeps in one list what is shown, lines and records."""

    def __init__(self) -> None:
        super().__init__(Console(file=io.StringIO()), "flow")
        self.all: list[str] = []

    def print(self, lines: Sequence[Line]) -> None:
        """Keep lines."""
        self.all.extend(line.text for line in lines)

    def on_task_runs(self, records: Sequence[TaskRunRecord]) -> None:
        """Keep records."""
        self.all.extend(f"{one.task} {one.state}" for one in records)

    def on_flow_run(self, record: FlowRunRecord) -> None:
        """Keep a record."""
        self.all.append(record.state)


def line(text: str, task: str | None = "a", run: str = "r", attempt: int | None = 1, index: int | None = None) -> Line:
    """A line of a task run."""
    return Line(text, RunFacts(run, task, index, attempt))


@pytest.fixture
def shown() -> Shown:
    """What is shown."""
    return Shown()


@pytest.fixture
def log(shown: Shown) -> OrderedLog:
    """The log of the run "r"."""
    return OrderedLog(shown, shown, "r")


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        ([record("a", "Running"), line("x"), record("a", "Success")], ["a Running", "x", "a Success"]),
        ([line("x"), [record("a", "Running"), record("a", "Success")]], ["a Running", "x", "a Success"]),
        ([line("x"), record("b", "Running"), record("a", "Running")], ["b Running", "a Running", "x"]),
        ([line("x"), record("a", "TriggerFailed")], ["x", "a TriggerFailed"]),
        ([line("x", task=None)], ["x"]),
        ([line("x", run="another")], ["x"]),
        (
            [line("x"), line("y", task=None), line("z", run="another"), record("a", "Running"), line("u", task=None)],
            ["a Running", "x", "y", "z", "u"],
        ),
        ([record("a", "Success"), line("x"), FlowRunRecord("Success")], ["a Success", "x", "Success"]),
        ([record("a", "Running"), line("x", attempt=None)], ["a Running", "x"]),
        (
            [
                record("a", "Running", run_count=1),
                line("x", attempt=2),
                [record("a", "Retrying", run_count=1), record("a", "Running", run_count=2)],
            ],
            ["a Running", "a Retrying", "a Running", "x"],
        ),
        (
            [record("a", "Running", 0), line("x", index=1), line("y", index=0), record("a", "Running", 1)],
            ["a Running", "y", "a Running", "x"],
        ),
    ],
)
def test_order(
    log: OrderedLog,
    shown: Shown,
    events: list[Line | TaskRunRecord | FlowRunRecord | list[TaskRunRecord]],
    expected: list[str],
) -> None:
    """A line of a task run is shown between its beginning and its end, whichever news come first."""
    for event in events:
        match event:
            case Line():
                log.say(event)
            case TaskRunRecord():
                log.on_task_runs([event])
            case FlowRunRecord():
                log.on_flow_run(event)
            case records:
                log.on_task_runs(records)
    assert shown.all == expected


def test_what_was_written_before_is_gathered_first(log: OrderedLog, shown: Shown) -> None:
    """Before a State change is shown, what is still in the pipes is."""
    log.on_task_runs([record("a", "Running")])
    log.gather = lambda: log.say(line("last words"))
    log.on_task_runs([record("a", "Failed")])
    log.on_flow_run(FlowRunRecord("Failed"))
    assert shown.all[1:3] == ["last words", "a Failed"]


def test_nothing_waits_for_ever(log: OrderedLog, shown: Shown, monkeypatch: pytest.MonkeyPatch) -> None:
    """A line whose task run is never told of is shown after a while, when there are many, and in the end."""
    log.say(line("late"))
    log.finish()
    monkeypatch.setattr(order, "HELD_AT_MOST", 2)
    for text in ("1", "2", "3"):
        log.say(line(text))
    monkeypatch.setattr(order, "HELD_FOR", 0.0)
    log.say(line("soon"))
    log.tick()
    assert shown.all == ["late", "1", "2", "3", "soon"]
