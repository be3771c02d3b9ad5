"""Small results come back with the report of their unit; large ones stay on the workers until they are fetched."""

from __future__ import annotations

from typing import Any

import pytest

from flowkiln import Flow, task
from flowkiln.engine.conductor import Conductor
from flowkiln.engine.executors import DaskExecutor
from flowkiln.engine.executors.dask_session import DaskSession
from flowkiln.engine.executors.dask_worker import SMALL_TEXT, SMALL_UNIT, is_small
from flowkiln.engine.state import Success
from flowkiln.engine.unit_runner import HeldUnit


@task
def give(value: Any) -> Any:
    """Give back what is given."""
    return value


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
    assert is_small(HeldUnit(tuple(Success(result=result) for result in results))) is small


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
