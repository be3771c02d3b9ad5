"""What is told of a task run comes after the ends of the task runs that it builds on, in whatever order it arrives."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from flowkiln import Flow, task
from flowkiln.engine.driver import LostUnit, WorkerLost
from flowkiln.engine.executors import LocalExecutor
from flowkiln.engine.executors.session import Delivery, SequentialSession
from flowkiln.engine.runs.conductor import Conductor
from flowkiln.engine.unit_runner import UnitReport

from .recorder import Recorder


class LatestFirst(SequentialSession):
    """Runs all that can run, then tells of the latest unit first, from another thread as workers do.

    `loses`: before that it tells that the worker of the latest unit was lost.
    """

    loses = False

    def __init__(self, executor: Any, environment: Any, deliver: Any) -> None:
        super().__init__(executor, environment, self._keep)
        self._tell = deliver
        self._kept: list[Delivery] = []
        self._units_told: list[list[Delivery]] = []

    def _keep(self, item: Delivery) -> None:
        self._kept.append(item)
        if isinstance(item, UnitReport):
            self._units_told.append(self._kept)
            self._kept = []

    def pump(self, is_awaited: Callable[[], bool]) -> bool:
        """Run all units, then tell."""
        if super().pump(is_awaited):
            return True
        told, self._units_told = self._units_told, []
        teller = threading.Thread(target=self._tell_all, args=(told,))
        teller.start()
        teller.join()
        return bool(told)

    def _tell_all(self, told: list[list[Delivery]]) -> None:
        for items in reversed(told):
            report = items[-1]
            if self.loses and isinstance(report, UnitReport):
                self.loses = False
                self._tell(items[0])
                self._tell(WorkerLost((LostUnit(report.key, 0),), "lost", True, 0.0))
                continue
            for item in items:
                self._tell(item)


class LatestFirstExecutor(LocalExecutor):
    """An executor with such sessions."""

    def __init__(self, *, loses: bool = False) -> None:
        super().__init__()
        self.loses = loses

    def open_session(self, environment: Any, deliver: Any) -> LatestFirst:
        """Open one."""
        session = LatestFirst(self, environment, deliver)
        session.loses = self.loses
        return session


@task
def fetch() -> int:
    """Come first."""
    return 1


@task
def parse(x: int) -> int:
    """Come second."""
    return x + 1


@task
def store(x: int) -> int:
    """Come last."""
    return x + 1


@pytest.mark.parametrize("loses", [False, True])
def test_records_come_in_the_order_of_the_flow(loses: bool) -> None:
    """A lost worker's task run is told Running, then Pending; it runs again."""
    with Flow("order") as flow:
        result = store(parse(fetch()))
    recorder = Recorder()
    conductor = Conductor(flow, LatestFirstExecutor(loses=loses), observer=recorder, return_tasks=(result,))
    state = conductor.run()
    assert state.result[result].result == 3
    told = [(record.task, record.state) for record in recorder.records]
    expected = [(name, state) for name in ("fetch", "parse", "store") for state in ("Running", "Success")]
    if loses:
        lost = [("store", "Running"), ("store", "Pending")]
        assert [one for one in told if one[0] == "store"] == [*lost, *expected[-2:]]
    else:
        assert told == expected
