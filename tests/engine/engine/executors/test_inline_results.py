"""Small results come back with the report of their unit; large ones stay on the workers until they are fetched."""

from __future__ import annotations

import datetime as dt
from enum import Enum
from typing import Any

import pytest
from dask.sizeof import sizeof

from flowkiln import Flow, task
from flowkiln.engine.driver.units import StateRef
from flowkiln.engine.executors import DaskExecutor
from flowkiln.engine.executors.dask.events import EventSubscriber, MemberStarted, WorkerEvent
from flowkiln.engine.executors.dask.session import DaskSession
from flowkiln.engine.executors.dask.transfer import TransferableUnit
from flowkiln.engine.result import Result
from flowkiln.engine.runs.conductor import Conductor
from flowkiln.engine.serialization.inline_results import INLINE_LIMIT, inline_size
from flowkiln.engine.state import Cached, Crashed, Skipped, Success
from flowkiln.states.records import TaskRunRecord


@task
def give(value: Any) -> Any:
    """Give back what is given."""
    return value


@pytest.mark.parametrize(
    ("value", "small"),
    [
        (1, True),
        (None, True),
        (2.5, True),
        ("text", True),
        (b"bytes", True),
        (dt.date(2020, 2, 29), True),
        ({"rows": 3, "paths": ["a", "b"], "span": (1, 2)}, True),
        ("x" * (INLINE_LIMIT + 1), False),
        (2 ** (8 * INLINE_LIMIT + 8), False),
        ([0] * INLINE_LIMIT, False),
        ([[["x" * INLINE_LIMIT]]], False),
        (ValueError("no"), False),
        (Enum("Color", "RED").RED, False),
        ({1: object()}, False),
    ],
    ids=lambda value: repr(value)[:20],
)
def test_what_is_small(value: Any, small: bool) -> None:
    """Values of built-in types of few bytes are, and containers of them."""
    assert (inline_size(Success(result=value)) is not None) is small


def test_a_container_in_itself_is_not_small() -> None:
    """Nor does it keep anybody busy for long."""
    endless: list[Any] = []
    endless.append(endless)
    assert inline_size(Success(result=endless)) is None


def test_a_state_without_a_result_takes_nothing() -> None:
    """One that carries more than its result is not small, whatever that is."""
    assert inline_size(Skipped()) == 0
    assert inline_size(Success(ValueError("a message that is an object"), result=1)) is None
    assert inline_size(Cached(result=1, cached_inputs={"x": Result(b"x" * 10_000)})) is None
    assert inline_size(Success(result=Result(1, result_handler=object()))) is None


def test_small_results_of_one_unit_are_bounded_together(dask_processes: DaskExecutor) -> None:
    """What does not fit is fetched; every result is right."""
    with Flow("many") as flow:
        mapped = give.map(["x" * (INLINE_LIMIT // 2) + str(n) for n in range(200)])
    state = Conductor(flow, dask_processes, return_tasks=(mapped,)).run()
    assert state.result[mapped].result == ["x" * (INLINE_LIMIT // 2) + str(n) for n in range(200)]


def test_dask_knows_what_results_weigh() -> None:
    """It decides by that what to move and what to spill."""
    assert sizeof(TransferableUnit((Success(result=b"x" * 100_000), Success(result=1)))) > 100_000


@pytest.mark.parametrize(("value", "fetched"), [(7, False), ("x" * 10_000, True)])
def test_only_large_results_are_fetched(
    value: object, fetched: bool, dask_processes: DaskExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Either way the result is the same; a small one costs no further question to the workers."""
    asked: list[bool] = []
    fetch = DaskSession.fetch

    def watched(session: DaskSession, sources: Any) -> Any:
        asked.append(any(isinstance(source, StateRef) for source in sources))
        return fetch(session, sources)

    monkeypatch.setattr(DaskSession, "fetch", watched)
    with Flow("give") as flow:
        given = give(value)
    state = Conductor(flow, dask_processes, return_tasks=(given,)).run()
    assert state.result[given].result == value
    assert asked == [fetched]


class Unweighable:
    """Does not let its size be told."""

    def __sizeof__(self) -> int:
        raise RuntimeError("no size")


class Celsius(float):
    """Is pickled well and cannot be unpickled: its constructor wants more than pickle gives."""

    def __new__(cls, value: float, unit: str) -> Celsius:
        """Make one."""
        return super().__new__(cls, value)


def test_a_result_without_size_is_a_result(dask_threads: DaskExecutor) -> None:
    """What it weighs is Dask's concern alone."""
    with Flow("odd") as flow:
        made = task(Unweighable)()
    assert type(flow.run(executor=dask_threads).result[made].result) is Unweighable


def test_a_number_of_a_class_of_its_own_does_not_travel_with_the_report() -> None:
    """For it may not arrive, and the report with it."""
    assert inline_size(Success(result=Celsius(1.0, "C"))) is None


def test_a_report_that_cannot_be_read_is_missed(dask_processes: DaskExecutor, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its task run is lost, not waited for."""

    def unreadable(self: EventSubscriber, event: Any) -> None:
        raise ValueError(event)

    monkeypatch.setattr(EventSubscriber, "_on_worker_event", unreadable)
    executor = DaskExecutor(address=dask_processes.client.scheduler.address)
    with Flow("give") as flow:
        given = give(1)
    assert type(flow.run(executor=executor).result[given]) is Crashed


def test_beginnings_of_what_was_given_up_are_not_news() -> None:
    """Its body goes on; the run has gone on without it."""
    session, delivered = object.__new__(DaskSession), []
    session._unreported, session._began, session._deliver = {("a", -1, 1): False}, {}, delivered.append
    session._threads_of = {}
    records = [TaskRunRecord(name, -1, "Running") for name in "ab"]
    began = tuple(MemberStarted((record.task, -1, 1), 0, record) for record in records)
    session.on_worker_event(WorkerEvent("r", "tcp://worker", 1, began, None))
    assert delivered == [records[:1]]
