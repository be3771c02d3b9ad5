"""Small results come back with the report of their unit; large ones stay on the workers until they are fetched."""

from __future__ import annotations

from typing import Any

import pytest
from dask.sizeof import sizeof

from flowkiln import Flow, task
from flowkiln.engine.conductor import Conductor
from flowkiln.engine.driver.units import Member, Unit
from flowkiln.engine.executors import DaskExecutor
from flowkiln.engine.executors.dask_news import Began, NewsDesk, WorkerNews
from flowkiln.engine.executors.dask_session import DaskSession
from flowkiln.engine.executors.dask_transfer import TransferableUnit
from flowkiln.engine.executors.dask_worker import SMALL_TEXT, SMALL_UNIT, small_results
from flowkiln.engine.records import TaskRunRecord
from flowkiln.engine.state import Crashed, Success
from flowkiln.engine.unit_runner import HeldUnit


@task
def give(value: Any) -> Any:
    """Give back what is given."""
    return value


def _unit(wanted: list[bool]) -> Unit:
    key = ("give-run", -1, 1)
    return Unit(key, tuple(Member(n, -1, 1, None, (), wanted=one) for n, one in enumerate(wanted)), ())


@pytest.mark.parametrize(
    ("results", "small"),
    [
        ([1], True),
        ([None, True, 2.5, "text", b"bytes"], True),
        (["x" * (SMALL_TEXT + 1)], False),
        ([[1]], False),
        ([ValueError("no")], False),
        ([0] * SMALL_UNIT, True),
        ([0] * (SMALL_UNIT + 1), False),
    ],
)
def test_what_is_small(results: list[Any], small: bool) -> None:
    """Numbers, nothing and short texts are, of a few task runs at most; containers are not looked into."""
    states = tuple(Success(result=result) for result in results)
    found = small_results(_unit([True] * len(results)), HeldUnit(states))
    assert found == (dict(enumerate(states)) if small else None)


def test_only_what_is_wanted_counts() -> None:
    """The last of a long chain comes back by itself, whatever the others left behind."""
    states = (*(Success(result="x" * 1_000) for _ in range(50)), Success(result=7))
    assert small_results(_unit([False] * 50 + [True]), HeldUnit(states)) == {50: states[50]}
    assert small_results(_unit([False] * 51), HeldUnit(states)) is None


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
        asked.append(bool({source.key for source in sources} - session._small.keys()))
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
    assert small_results(_unit([True]), HeldUnit((Success(result=Celsius(1.0, "C")),))) is None


def test_a_report_that_cannot_be_read_is_missed(dask_processes: DaskExecutor, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its task run is lost, not waited for."""

    def unreadable(self: NewsDesk, event: Any) -> None:
        raise ValueError(event)

    monkeypatch.setattr(NewsDesk, "_on_news", unreadable)
    executor = DaskExecutor(address=dask_processes.client.scheduler.address)
    with Flow("give") as flow:
        given = give(1)
    assert type(flow.run(executor=executor).result[given]) is Crashed


def test_beginnings_of_what_is_computed_again_are_not_news() -> None:
    """Dask does that with results that it lost; the run has gone on."""
    session, delivered = object.__new__(DaskSession), []
    session._unreported, session._began, session._deliver = {("a", -1, 1)}, {}, delivered.append
    records = [TaskRunRecord(name, -1, "Running") for name in "ab"]
    began = tuple(Began((record.task, -1, 1), 0, record) for record in records)
    session.on_news(WorkerNews("r", "tcp://worker", began, None))
    assert delivered == records[:1]
