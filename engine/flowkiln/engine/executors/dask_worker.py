"""What runs on a Dask worker: units, and the stream of their records."""

from __future__ import annotations

import pickle
import threading
from collections import OrderedDict
from typing import Any

import cloudpickle
from distributed import Worker, WorkerPlugin, get_worker

from flowkiln.engine.driver.units import Unit
from flowkiln.engine.environment import RunEnvironment
from flowkiln.engine.records import TaskRunRecord
from flowkiln.engine.unit_runner import HeldUnit, UnitReport, run_unit

STREAM_INTERVAL = 0.05
"""Seconds that a worker collects the beginnings of task runs before it sends them."""

ENVIRONMENTS_KEPT = 32
"""Environments of recent runs that a worker process keeps."""


def topic_of(run_id: str) -> str:
    """Name the event topic, and the worker plugin, of a run."""
    return f"flowkiln-{run_id}"


def dumps(value: Any) -> bytes:
    """Pickle; classes that are defined in a flow's own script travel by value."""
    try:
        pickled = pickle.dumps(value)
    except Exception:
        return bytes(cloudpickle.dumps(value))
    return bytes(cloudpickle.dumps(value)) if b"__main__" in pickled else pickled


class EnvironmentPlugin(WorkerPlugin):  # type: ignore[misc]
    """Brings the environment of a large run to every worker once."""

    def __init__(self, run_id: str, environment: bytes) -> None:
        self.name = topic_of(run_id)
        self.environment = environment


class _RunsHere:
    """The runs that this worker process takes part in. One for each worker: two may share a process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._environments: OrderedDict[tuple[str, str], RunEnvironment] = OrderedDict()
        self._began: dict[tuple[str, str], list[TaskRunRecord]] = {}

    def environment(self, worker: Worker, run_id: str, pickled: bytes | None) -> RunEnvironment:
        """Give a run's environment, unpickled once; its errors are then those of the unit that asks first."""
        key = (worker.address, run_id)
        with self._lock:
            found = self._environments.get(key)
            if found is None:
                found = cloudpickle.loads(worker.plugins[topic_of(run_id)].environment if pickled is None else pickled)
                self._environments[key] = found
                while len(self._environments) > ENVIRONMENTS_KEPT:
                    self._environments.popitem(last=False)
            return found

    def announce(self, worker: Worker, run_id: str, record: TaskRunRecord) -> None:
        """Stream that a task run began: soon, together with others."""
        with self._lock:
            waiting = self._began.setdefault((worker.address, run_id), [])
            waiting.append(record)
            if len(waiting) > 1:
                return
        worker.loop.add_callback(worker.loop.call_later, STREAM_INTERVAL, self.flush, worker, run_id)

    def flush(self, worker: Worker, run_id: str, report: UnitReport | None = None) -> None:
        """Stream what is waiting. A report goes at once: before its key, since both take the same way."""
        with self._lock:
            began = self._began.pop((worker.address, run_id), [])
        if began or report is not None:
            worker.log_event(topic_of(run_id), dumps((began, report)))


_here = _RunsHere()


def run_on_worker(run_id: str, environment: bytes | None, pickled_unit: bytes, needs: list[HeldUnit]) -> HeldUnit:
    """Run a unit and stream its report. `environment` is None when a plugin brought it."""
    worker = get_worker()
    unit: Unit = pickle.loads(pickled_unit)  # noqa: S301  # made by this run's own driver
    held, report = run_unit(
        _here.environment(worker, run_id, environment),
        unit,
        needs,
        worker=str(worker.name),
        announce=lambda record: _here.announce(worker, run_id, record),
    )
    _here.flush(worker, run_id, report)
    return held
