"""Worker processes that die, and bodies that cannot be stopped."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Iterator, Sequence

import pytest

from flowkiln import Flow, task
from flowkiln.engine.executors import DaskExecutor
from flowkiln.engine.executors.dask.events import WorkerLoss, parse_worker_loss
from flowkiln.engine.runs.conductor import Conductor
from flowkiln.states.records import FlowRunRecord, TaskRunRecord
from flowkiln.triggers import any_failed


@task
def numbers(n: int) -> list[int]:
    """Give the elements of a map."""
    return list(range(n))


@task
def kill_worker() -> None:
    """End the worker process without a word."""
    os._exit(3)


@task
def innocent(x: int) -> int:
    """Something that is queued beside it."""
    time.sleep(0.02)
    return x


@task(trigger=any_failed)
def notify(outcome: object) -> str:
    """Run because something upstream failed."""
    return "told"


@task(timeout=1)
def unstoppable() -> None:
    """Stay in a C call far longer than the deadline."""
    time.sleep(120)


class Recorder:
    """Keeps the records of a run."""

    def __init__(self) -> None:
        self.records: list[TaskRunRecord] = []

    def on_task_runs(self, records: Sequence[TaskRunRecord]) -> None:
        """Keep them."""
        self.records.extend(records)

    def on_flow_run(self, record: FlowRunRecord) -> None:
        """Of no interest here."""


@pytest.fixture
def processes() -> Iterator[DaskExecutor]:
    """Start a cluster whose workers may be killed."""
    executor = DaskExecutor(local_processes=True, n_workers=2, threads_per_worker=1)
    with executor.start():
        yield executor


def test_a_task_that_kills_its_worker_crashes_alone(processes: DaskExecutor) -> None:
    """Three workers die under it, it is Crashed, its any_failed notifier runs, and 50 queued innocents succeed."""
    with Flow("losses") as flow:
        killer = kill_worker()
        told = notify(killer)
        mapped = innocent.map(numbers(50))
    recorder = Recorder()
    state = Conductor(flow, processes, observer=recorder, return_tasks=(killer, told, mapped)).run()
    assert type(state.result[killer]).__name__ == "Crashed"
    assert state.result[told].result == "told"
    assert state.result[mapped].result == list(range(50))
    ends = Counter(record.state for record in recorder.records if record.task == "innocent" and record.map_index >= 0)
    assert set(ends) - {"Pending"} == {"Running", "Success"}


def test_a_body_that_cannot_be_stopped_ends_with_its_process(processes: DaskExecutor) -> None:
    """A deadline holds in a worker process also for a C call: TimedOut, and the neighbours succeed uncharged."""
    with Flow("stuck") as flow:
        stuck = unstoppable()
        mapped = innocent.map(numbers(20))
    state = Conductor(flow, processes, return_tasks=(stuck, mapped)).run()
    assert type(state.result[stuck]).__name__ == "TimedOut"
    assert state.result[mapped].result == list(range(20))


REMOVED = {"action": "remove-worker", "worker": "tcp://a", "processing-tasks": {("k", -1, 1), "x"}}


@pytest.mark.parametrize(
    ("message", "loss"),
    [
        ({"action": "add-worker", "worker": "tcp://a"}, None),
        ({"action": "remove-worker", "worker": "tcp://a", "expected": True, "processing-tasks": {("k", -1, 1)}}, None),
        (
            {
                "action": "remove-worker",
                "worker": "tcp://a",
                "expected": False,
                "processing-tasks": {("k", -1, 1), "x"},
            },
            WorkerLoss("tcp://a", (("k", -1, 1),)),
        ),
        ("something else", None),
    ],
)
def test_only_unexpected_removals_are_losses(message: object, loss: WorkerLoss | None) -> None:
    """A worker that was asked to go is no loss, and keys that are not ours are none of our business."""
    assert parse_worker_loss(message) == loss
