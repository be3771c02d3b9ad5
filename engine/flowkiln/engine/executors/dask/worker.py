"""Run units on a Dask worker."""

from __future__ import annotations

import os
import pickle
import threading
from collections import OrderedDict
from dataclasses import replace

import cloudpickle
from distributed import Worker, WorkerPlugin, get_worker
from distributed.sizeof import safe_sizeof

from flowkiln.common.exceptions import FlowkilnError
from flowkiln.common.logging import configure_logging
from flowkiln.common.processes import end_descendants
from flowkiln.common.run_facts import follow_threads
from flowkiln.engine.bodies.registry import is_over
from flowkiln.engine.bodies.shutdown import GRACE_PERIOD
from flowkiln.engine.driver import Outcome, Unit
from flowkiln.engine.environment import RunEnvironment
from flowkiln.engine.executors.dask.events import Abandoned, Forgotten, MemberStarted
from flowkiln.engine.executors.dask.pool_slot import PoolSlot
from flowkiln.engine.executors.dask.resubmissions import was_resubmitted
from flowkiln.engine.executors.dask.stream import EventStreams
from flowkiln.engine.executors.dask.transfer import TransferableUnit
from flowkiln.engine.unit_runner import UnitResult, run_unit
from flowkiln.states.records import TaskRunRecord

ENVIRONMENTS_KEPT = 32
"""Maximum number of environments that a worker process caches."""


def gate_plugin_name(run_id: str) -> str:
    """Return the name of the plugin that closes a run's gate."""
    return f"flowkiln-gate-{run_id}"


class ClosedGate(WorkerPlugin):  # type: ignore[misc]
    """A worker with this plugin starts no further task of the run."""

    def __init__(self, run_id: str) -> None:
        self.name = gate_plugin_name(run_id)


class _Environments:
    """The cached environments of runs, by worker, because two workers may share a process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: OrderedDict[tuple[str, str], RunEnvironment] = OrderedDict()

    def of(self, worker: Worker, run_id: str, pickled: bytes) -> RunEnvironment:
        """Return a run's environment, unpickled once; errors are raised in the first unit that needs it."""
        key = (worker.address, run_id)
        with self._lock:
            found = self._kept.get(key)
            if found is None:
                follow_threads()
                if worker.nanny:
                    # A process that Dask started: configure the logging of bodies here.
                    configure_logging()
                found = _shared[run_id] if run_id in _shared else cloudpickle.loads(pickled)
                self._kept[key] = found
                while len(self._kept) > ENVIRONMENTS_KEPT:
                    self._kept.popitem(last=False)
            return found

    def forget(self, run_id: str) -> None:
        """Forget a run's environment."""
        with self._lock:
            for key in [key for key in self._kept if key[1] == run_id]:
                del self._kept[key]


_environments = _Environments()
_shared: dict[str, RunEnvironment] = {}


def share(environment: RunEnvironment) -> None:
    """Share an environment with workers that are threads of this process."""
    _shared[environment.run_id] = environment


def unshare(run_id: str) -> None:
    """Remove a shared environment."""
    _shared.pop(run_id, None)
    _environments.forget(run_id)


_streams = EventStreams()


class Carrier(FlowkilnError):
    """Wraps an exception, because Dask's worker ends for SystemExit and KeyboardInterrupt."""

    def __init__(self, carried: BaseException) -> None:
        super().__init__(carried)
        self.carried = carried


def run_on_worker(
    topic: str, run_id: str, environment: bytes, pickled_unit: bytes, needs: list[UnitResult]
) -> UnitResult:
    """Run a unit and stream its report under the topic.

    Raise the exceptions of the unit; those that are not an Exception are wrapped in a `Carrier`.
    """
    try:
        return _run(topic, run_id, environment, pickled_unit, needs)
    except Exception:
        raise
    except BaseException as error:
        raise Carrier(error) from error


def _run(topic: str, run_id: str, environment: bytes, pickled_unit: bytes, needs: list[UnitResult]) -> UnitResult:
    worker = get_worker()
    unit: Unit = pickle.loads(pickled_unit)  # noqa: S301  # made by this run's own driver
    stream = _streams.of(worker, topic, run_id)
    # A gathering unit runs no body, and can be repeated.
    if unit.gather is None and was_resubmitted(worker, unit.key):
        stream.send(Forgotten(unit.key))
        return TransferableUnit(())

    def announce(position: int, record: TaskRunRecord) -> None:
        stream.announce(MemberStarted(unit.key, position, record))
        if unit.announce_first:
            stream.send_now()

    def abandon(outcomes: tuple[Outcome, ...], records: tuple[TaskRunRecord, ...]) -> None:
        stream.send_now(Abandoned(unit.key, outcomes, records))
        end_descendants(GRACE_PERIOD)
        os._exit(1)

    known = _environments.of(worker, run_id, environment)
    with stream.running(unit) as progress:
        held, report = run_unit(
            known,
            unit,
            needs,
            worker=str(worker.name),
            announce=announce,
            # Only a process with a nanny, which restarts it, may be ended.
            abandon=abandon if worker.nanny else None,
            slot=PoolSlot,
            may_begin=lambda position: (
                gate_plugin_name(run_id) not in worker.plugins and not is_over(run_id) and progress.may_begin(position)
            ),
        )
    left = TransferableUnit(held.states)
    stream.send(replace(report, size=safe_sizeof(left)))
    return left
