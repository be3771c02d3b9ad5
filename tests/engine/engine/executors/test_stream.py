"""What a worker tells about the units that run there, with a worker that only notes what it is asked to send."""

from __future__ import annotations

import gc
import pickle
import weakref
from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from flowkiln.engine.driver import Member, Unit
from flowkiln.engine.executors.dask import stream as dask_stream
from flowkiln.engine.executors.dask.events import MemberStarted, Shortened, WorkerEvent
from flowkiln.engine.executors.dask.stream import IDLE_INTERVALS, EventStream, EventStreams
from flowkiln.engine.unit_runner import UnitReport
from flowkiln.states.records import TaskRunRecord

KEY = ("n-r", 0, 1)
UNIT = Unit(KEY, tuple(Member(0, index, 1, None, ()) for index in range(3)), ())
BEGAN = MemberStarted(KEY, 0, TaskRunRecord("n", 0, "Running"))
REPORT = UnitReport(KEY, (), ())


class Loop:
    """Keeps what it is to call later until it is told that time has passed."""

    def __init__(self) -> None:
        self.later: list[tuple[Callable[..., None], tuple[Any, ...]]] = []

    def add_callback(self, call: Callable[..., None], *args: Any) -> None:
        """Call at once."""
        call(*args)

    def call_later(self, _seconds: float, call: Callable[..., None], *args: Any) -> None:
        """Keep."""
        self.later.append((call, args))

    def tick(self) -> None:
        """Call what was kept."""
        calls, self.later = self.later, []
        for call, args in calls:
            call(*args)


class Worker:
    """As much of a worker as streams need."""

    address = "tcp://worker"
    state = SimpleNamespace(nthreads=1)

    def __init__(self) -> None:
        self.loop = Loop()
        self.sent: list[WorkerEvent] = []

    def log_event(self, _topic: str, message: bytes) -> None:
        """Note what is sent."""
        self.sent.append(pickle.loads(message))


@pytest.fixture
def worker() -> Worker:
    """A worker that has sent nothing."""
    return Worker()


def test_beginnings_wait_for_company_and_ends_take_them_along(worker: Worker) -> None:
    """So an end never overtakes its beginning."""
    stream = EventStream(worker, "topic", "r")
    other = BEGAN._replace(key=("m-r", 0, 1))
    stream.announce(other)
    assert worker.sent == []
    stream.send(REPORT)
    assert [(event.began, event.end) for event in worker.sent] == [((other,), REPORT)]


def test_beginnings_that_were_not_told_come_with_the_records_of_their_unit(worker: Worker) -> None:
    """Before those of what came of them: that they had begun need not be told any more."""
    stream = EventStream(worker, "topic", "r")
    stream.announce(BEGAN)
    ended = TaskRunRecord("n", 0, "Success")
    stream.send(replace(REPORT, records=(ended,)))
    assert [(event.began, event.end) for event in worker.sent] == [((), replace(REPORT, records=(BEGAN.record, ended)))]


def test_beginnings_of_long_task_runs_are_told_in_time(worker: Worker) -> None:
    """By the next look, in one event."""
    stream = EventStreams().of(worker, "topic", "r")
    stream.announce(BEGAN)
    stream.announce(BEGAN)
    worker.loop.tick()
    assert [(event.began, event.end) for event in worker.sent] == [((BEGAN, BEGAN), None)]


def test_a_long_unit_gives_back_what_it_has_not_begun(worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once; from then on it may not begin that any more."""
    monkeypatch.setattr(dask_stream, "WORK_PER_UNIT", 0.0)
    stream = EventStreams().of(worker, "topic", "r")
    with stream.running(UNIT) as progress:
        assert progress.may_begin(0)
        worker.loop.tick()
        worker.loop.tick()
        assert not progress.may_begin(1)
    assert [event.end for event in worker.sent] == [Shortened(KEY, 1)]


def test_a_unit_that_has_begun_nothing_gives_nothing_back(worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its first member is its own, however late it comes to it."""
    monkeypatch.setattr(dask_stream, "WORK_PER_UNIT", 0.0)
    stream = EventStreams().of(worker, "topic", "r")
    with stream.running(UNIT) as progress:
        worker.loop.tick()
        assert progress.may_begin(0)
    assert worker.sent == []


def test_workers_that_are_gone_are_forgotten() -> None:
    """With their streams: an address may be used again, and processes live long."""
    streams, worker = EventStreams(), Worker()
    streams.of(worker, "topic", "r")
    worker.loop.later.clear()
    gone = weakref.ref(worker)
    del worker
    gc.collect()
    assert gone() is None
    assert not streams._streams


def test_a_short_unit_keeps_its_members(worker: Worker) -> None:
    """However often the worker looks."""
    stream = EventStreams().of(worker, "topic", "r")
    with stream.running(UNIT) as progress:
        assert progress.may_begin(0)
        worker.loop.tick()
        assert progress.may_begin(1)
    assert worker.sent == []


def test_a_worker_without_runs_does_not_go_on_looking(worker: Worker) -> None:
    """A stream that has been idle for long is given up, and the next unit makes a new one."""
    streams = EventStreams()
    stream = streams.of(worker, "topic", "r")
    for _ in range(IDLE_INTERVALS):
        worker.loop.tick()
    assert streams.of(worker, "topic", "r") is stream
    for _ in range(IDLE_INTERVALS + 1):
        worker.loop.tick()
    assert worker.loop.later == []
    assert streams.of(worker, "topic", "r") is not stream
    assert len(worker.loop.later) == 1
