"""Small results come back with the report of their unit; large ones stay on the workers until they are fetched."""

from __future__ import annotations

from typing import Any

import pytest
from dask.sizeof import sizeof

from flowkiln import Flow, task
from flowkiln.engine.conductor import Conductor
from flowkiln.engine.driver.units import Member, Unit
from flowkiln.engine.executors import DaskExecutor
from flowkiln.engine.executors.dask_session import DaskSession
from flowkiln.engine.executors.dask_transfer import TransferableUnit
from flowkiln.engine.executors.dask_worker import SMALL_TEXT, SMALL_UNIT, small_results
from flowkiln.engine.state import Success
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
