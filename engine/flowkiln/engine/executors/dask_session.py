"""The units of one run on a Dask cluster.

Units go to the scheduler as graphs, so that what depends on what is known there. States travel back without values,
as events; values stay on the workers under the units' keys until they are released.
"""

from __future__ import annotations

import pickle
import threading
from collections.abc import Sequence
from typing import Any

import cloudpickle
from distributed import Client, Future, Worker, WorkerPlugin, get_worker

from flowkiln.engine.driver import UnitLost, UnitPolicy
from flowkiln.engine.driver.units import Given, Held, Unit, UnitKey
from flowkiln.engine.environment import RunEnvironment
from flowkiln.engine.executors.session import Deliver
from flowkiln.engine.records import TaskRunRecord
from flowkiln.engine.state import State, utc_now
from flowkiln.engine.unit_runner import HeldUnit, UnitReport, run_unit

STREAM_INTERVAL = 0.05
"""Seconds that a worker collects the beginnings of task runs before it sends them."""


def _plugin_name(run_id: str) -> str:
    return f"flowkiln-{run_id}"


class RunPlugin(WorkerPlugin):  # type: ignore[misc]
    """What each worker of a run holds: the run's environment, and the stream of its records."""

    def __init__(self, run_id: str, environment: bytes) -> None:
        self.name = _plugin_name(run_id)
        self._pickled = environment

    def setup(self, worker: Worker) -> None:
        """Called by Dask when the plugin arrives at a worker."""
        self._worker = worker
        self._lock = threading.Lock()
        self._began: list[TaskRunRecord] = []
        self._environment: RunEnvironment | None = None
        self.worker_name = str(worker.name)

    @property
    def environment(self) -> RunEnvironment:
        """The run's environment, unpickled when first used: its errors are then those of a task run."""
        with self._lock:
            if self._environment is None:
                self._environment = cloudpickle.loads(self._pickled)
            return self._environment

    def announce(self, record: TaskRunRecord) -> None:
        """Stream that a task run began."""
        with self._lock:
            self._began.append(record)
            if len(self._began) == 1:
                self._worker.loop.add_callback(self._worker.loop.call_later, STREAM_INTERVAL, self._flush)

    def report(self, report: UnitReport) -> None:
        """Stream what became of a unit; before its key is there, since both take the same way."""
        self._flush(report)

    def _flush(self, report: UnitReport | None = None) -> None:
        with self._lock:
            began, self._began = self._began, []
        if began or report is not None:
            self._worker.log_event(self.name, _dumps((began, report)))


def run_on_worker(run_id: str, pickled_unit: bytes, needs: list[HeldUnit]) -> HeldUnit:
    """Run a unit on a Dask worker and stream its report."""
    plugin: RunPlugin = get_worker().plugins[_plugin_name(run_id)]
    unit: Unit = pickle.loads(pickled_unit)  # noqa: S301  # made by this run's own driver
    held, report = run_unit(plugin.environment, unit, needs, worker=plugin.worker_name, announce=plugin.announce)
    plugin.report(report)
    return held


def _dumps(value: Any) -> bytes:
    try:
        return pickle.dumps(value)
    except Exception:
        # Classes that are defined in a flow's own script travel by value.
        return bytes(cloudpickle.dumps(value))


class DaskSession:
    """Carries out the units of one run on a Dask cluster."""

    def __init__(self, client: Client, environment: RunEnvironment, deliver: Deliver) -> None:
        self._client, self._deliver = client, deliver
        self._run_id = environment.run_id
        self._raise = bool(environment.context.get("raise_on_exception"))
        self._futures: dict[UnitKey, Future] = {}
        self._topic = _plugin_name(self._run_id)
        self.policy = UnitPolicy(fuse=True, threads=max(1, sum(client.nthreads().values())))
        client.subscribe_topic(self._topic, self._on_event)
        client.register_plugin(RunPlugin(self._run_id, bytes(cloudpickle.dumps(environment))))

    def submit(self, units: Sequence[Unit]) -> None:
        """Send units to the scheduler as one graph."""
        new = {unit.key for unit in units}
        graph = {
            unit.key: (
                run_on_worker,
                self._run_id,
                _dumps(unit),
                [key if key in new else self._futures[key] for key in unit.needs],
            )
            for unit in units
        }
        keys = list(graph)
        for key, future in zip(keys, self._client.get(graph, keys, sync=False), strict=True):
            self._futures[key] = future
            future.add_done_callback(self._on_done)

    def pump(self) -> bool:
        """The cluster makes progress by itself."""
        return False

    def fetch(self, sources: Sequence[Given | Held]) -> list[State]:
        """Get states with their values from the workers."""
        keys = {source.key for source in sources if isinstance(source, Held)}
        held = self._client.gather({key: self._futures[key] for key in keys})
        return [
            source.state if isinstance(source, Given) else held[source.key].states[source.position]
            for source in sources
        ]

    def release(self, keys: Sequence[UnitKey]) -> None:
        """Let the cluster forget what these units left behind."""
        for key in keys:
            self._futures.pop(key, None)

    def cancel(self, keys: Sequence[UnitKey]) -> None:
        """Stop units; a body that runs already goes on until it ends or its worker does."""
        futures = [self._futures.pop(key) for key in keys if key in self._futures]
        self._client.cancel(futures)

    def close(self) -> None:
        """Forget everything of this run."""
        self._client.unsubscribe_topic(self._topic)
        self._futures.clear()
        self._client.unregister_worker_plugin(self._topic)

    def _on_event(self, event: tuple[float, bytes]) -> None:
        began, report = pickle.loads(event[1])  # noqa: S301  # from this run's own workers
        for record in began:
            self._deliver(record)
        if report is not None:
            self._deliver(report)

    def _on_done(self, future: Future) -> None:
        if future.status == "finished":
            return
        error = future.exception() if future.status == "error" else None
        if self._raise and error is not None:
            self._deliver(error)
        else:
            self._deliver(UnitLost(future.key, _explain(error, future.status), utc_now().timestamp()))


def _explain(error: BaseException | None, status: str) -> str:
    if error is None:
        return f"The cluster lost the task run ({status})."
    return f"{type(error).__name__}: {error}"[:1024]
