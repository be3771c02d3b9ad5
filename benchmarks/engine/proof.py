"""What a round has to prove about itself before its time counts."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

from flowkiln.states.records import FlowRunRecord, TaskRunRecord


class RoundNotProven(AssertionError):
    """A round did not do what it was timed for."""


class Recorder:
    """An observer that keeps every record."""

    def __init__(self) -> None:
        self.records: list[TaskRunRecord] = []

    def on_task_runs(self, records: Sequence[TaskRunRecord]) -> None:
        """Keep them."""
        self.records.extend(records)

    def on_flow_run(self, record: FlowRunRecord) -> None:
        """Nothing is asked of these."""


def prove(
    recorder: Recorder,
    handler_calls: Mapping[tuple[str, str], int],
    task_runs: int,
    planted: int,
    value: object,
    expected: object,
) -> None:
    """Raise RoundNotProven unless every task run was recorded Running and Success with times, retries aside.

    `planted` task runs have failed once, been retried alone, and every transition called its handler once.
    """
    histories: dict[tuple[str, int], list[TaskRunRecord]] = defaultdict(list)
    for record in recorder.records:
        if record.state != "Mapped":
            histories[record.task, record.map_index].append(record)
    _check("task runs recorded", len(histories), task_runs)
    shapes = Counter(tuple(record.state for record in history) for history in histories.values())
    once = ("Running", "Success")
    twice = ("Running", "Failed", "Retrying", "Running", "Success")
    _check("histories", shapes, Counter({once: task_runs - planted, **({twice: planted} if planted else {})}))
    for history in histories.values():
        last = history[-1]
        if not (last.start_time and last.end_time and last.start_time <= last.end_time):
            raise RoundNotProven(f"{last.task}[{last.map_index}] has no times")
    calls = {
        ("Pending", "Running"): task_runs,
        ("Running", "Success"): task_runs,
        **(
            {("Running", "Failed"): planted, ("Failed", "Retrying"): planted, ("Retrying", "Running"): planted}
            if planted
            else {}
        ),
    }
    _check("handler calls", dict(handler_calls), calls)
    _check("value", value, expected)


def _check(what: str, found: object, expected: object) -> None:
    if found != expected:
        raise RoundNotProven(f"{what}: found {found!r}, expected {expected!r}")
