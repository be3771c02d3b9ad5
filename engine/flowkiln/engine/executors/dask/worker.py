"""What runs on a Dask worker: units."""

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
"""Environments of recent runs that a worker process keeps."""


def gate_plugin_name(run_id: str) -> str:
    """Name the plugin that keeps a run's gate closed."""
    return f"flowkiln-gate-{run_id}"


class ClosedGate(WorkerPlugin):  # type: ignore[misc]
    """While a worker has this plugin, no further task of the run starts there."""

    def __init__(self, run_id: str) -> None:
        self.name = gate_plugin_name(run_id)


class _Environments:
    """The environments of the runs that this process takes part in. One for each worker: two may share a process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: OrderedDict[tuple[str, str], RunEnvironment] = OrderedDict()

    def of(self, worker: Worker, run_id: str, pickled: bytes) -> RunEnvironment:
        """Give a run's environment, unpickled once; its errors are then those of the unit that asks first."""
        key = (worker.address, run_id)
        with self._lock:
            found = self._kept.get(key)
            if found is None:
                follow_threads()
                if worker.nanny:
                    # A process of Dask's own: nobody else makes it show what task bodies log.
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
    """Let workers that are threads of this process use an environment as it is."""
    _shared[environment.run_id] = environment


def unshare(run_id: str) -> None:
    """Forget an environment that was shared."""
    _shared.pop(run_id, None)
    _environments.forget(run_id)


_streams = EventStreams()


class Carrier(FlowkilnError):
    """Carries an exception past Dask's worker, which ends for a SystemExit or KeyboardInterrupt."""

    def __init__(self, carried: BaseException) -> None:
        super().__init__(carried)
        self.carried = carried


def run_on_worker(
    topic: str, run_id: str, environment: bytes, pickled_unit: bytes, needs: list[UnitResult]
) -> UnitResult:
    """Run a unit and stream its report under the topic.

    Raises what the unit raises, if that is an Exception; anything else in a `Carrier`.
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
    # What gathers runs no body, and is made anew from what is there.
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
            # Only a process that a nanny starts again may be ended.
            abandon=abandon if worker.nanny else None,
            slot=PoolSlot,
            may_begin=lambda position: (
                gate_plugin_name(run_id) not in worker.plugins and not is_over(run_id) and progress.may_begin(position)
            ),
        )
    left = TransferableUnit(held.states)
    stream.send(replace(report, size=safe_sizeof(left)))
    return left
