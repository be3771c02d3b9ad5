"""What runs on a Dask worker: units, and the stream of their records."""

from __future__ import annotations

import os
import pickle
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import cloudpickle
from dask.sizeof import sizeof
from distributed import Worker, WorkerPlugin, get_worker

from flowkiln.engine.driver import Outcome, Unit
from flowkiln.engine.driver.units import UnitKey
from flowkiln.engine.environment import RunEnvironment
from flowkiln.engine.executors.dask_transfer import TransferableUnit
from flowkiln.engine.records import TaskRunRecord
from flowkiln.engine.state import State
from flowkiln.engine.unit_runner import WORK_PER_UNIT, HeldUnit, UnitReport, run_unit
from flowkiln.utilities.logging import configure_logging

STREAM_INTERVAL = 0.05
"""Seconds that a worker collects the beginnings of task runs before it sends them."""

SENDING_TAKES = 0.05
"""Seconds after which an event that was handed to Dask is on its way, also if this process then ends at once."""

SMALL_UNIT = 8
"""Results of a unit that may travel with its report."""

SMALL_TEXT = 256
"""Characters, or bytes, of a result that may travel with its unit's report."""

ENVIRONMENTS_KEPT = 32
"""Environments of recent runs that a worker process keeps."""


@dataclass(frozen=True, slots=True)
class Began:
    """The member at `position` of a unit began to run."""

    key: UnitKey
    position: int
    record: TaskRunRecord


@dataclass(frozen=True, slots=True)
class Abandoned:
    """A member could not be stopped; its process ends now."""

    key: UnitKey
    outcome: Outcome
    records: tuple[TaskRunRecord, ...]


@dataclass(frozen=True, slots=True)
class Shortened:
    """A unit that goes on will run none but its first `length` members."""

    key: UnitKey
    length: int


@dataclass(frozen=True, slots=True)
class WorkerNews:
    """What a worker tells about a run, in one event."""

    address: str
    began: tuple[Began, ...]
    end: UnitReport | Abandoned | Shortened | None
    results: Mapping[int, State] | None = None
    """The unit's wanted states by position, if they are small: that saves fetching them."""


def small_results(unit: Unit, held: HeldUnit) -> Mapping[int, State] | None:
    """Give the states of a unit that are wanted in the end, if a message more than carries them."""
    wanted = {
        n: state for n, (member, state) in enumerate(zip(unit.members, held.states, strict=False)) if member.wanted
    }
    if not 0 < len(wanted) <= SMALL_UNIT or not all(map(is_small, wanted.values())):
        return None
    return wanted


def is_small(state: State) -> bool:
    """Whether a state with its result takes few bytes."""
    return (
        _is_small(state.result)
        and (state.message is None or isinstance(state.message, str))
        and not getattr(state, "cached_inputs", None)
        and not getattr(state, "cached_parameters", None)
    )


def _is_small(result: Any) -> bool:
    if isinstance(result, str | bytes):
        return len(result) <= SMALL_TEXT
    return result is None or isinstance(result, bool | int | float)


def topic_of(run_id: str) -> str:
    """Name the event topic of a run."""
    return f"flowkiln-{run_id}"


def dumps(value: Any) -> bytes:
    """Pickle; classes that are defined in a flow's own script travel by value."""
    try:
        return pickle.dumps(value)
    except Exception:
        return bytes(cloudpickle.dumps(value))


def gate_of(run_id: str) -> str:
    """Name the plugin that keeps a run's gate closed."""
    return f"flowkiln-gate-{run_id}"


class ClosedGate(WorkerPlugin):  # type: ignore[misc]
    """While a worker has this plugin, no further task of the run starts there."""

    def __init__(self, run_id: str) -> None:
        self.name = gate_of(run_id)


class _Progress:
    """How far a unit is: agreed on by the thread that runs it and the one that gives its last members back."""

    def __init__(self, unit: Unit) -> None:
        self.key = unit.key
        self.began = time.monotonic()
        self.is_watched = False
        self._lock = threading.Lock()
        self._position, self._length = -1, len(unit.members)

    def may_begin(self, position: int) -> bool:
        """Whether a member is still this unit's to run; then it begins."""
        with self._lock:
            if position < self._length:
                self._position = position
            return position < self._length

    def shorten(self) -> int | None:
        """Give up all members that have not begun; gives the new length, None if nothing was left to give up."""
        with self._lock:
            if self._position + 1 == self._length:
                return None
            self._length = self._position + 1
            return self._length


class _RunsHere:
    """The runs that this worker process takes part in. One for each worker: two may share a process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._environments: OrderedDict[tuple[str, str], RunEnvironment] = OrderedDict()
        self._began: dict[tuple[str, str], list[Began]] = {}
        self._will_flush: set[tuple[str, str]] = set()
        self._progress: dict[tuple[str, str], list[_Progress]] = {}

    def environment(self, worker: Worker, run_id: str, pickled: bytes) -> RunEnvironment:
        """Give a run's environment, unpickled once; its errors are then those of the unit that asks first."""
        key = (worker.address, run_id)
        with self._lock:
            found = self._environments.get(key)
            if found is None:
                if worker.nanny:
                    # A process of Dask's own: nobody else makes it show what task bodies log.
                    configure_logging()
                found = cloudpickle.loads(pickled)
                self._environments[key] = found
                while len(self._environments) > ENVIRONMENTS_KEPT:
                    self._environments.popitem(last=False)
            return found

    def announce(self, worker: Worker, run_id: str, began: Began) -> None:
        """Stream that a task run began: soon, together with others."""
        here = (worker.address, run_id)
        with self._lock:
            self._began.setdefault(here, []).append(began)
            if here in self._will_flush:
                return
            self._will_flush.add(here)
        worker.loop.add_callback(worker.loop.call_later, STREAM_INTERVAL, self._flush_in_time, worker, run_id)

    def _flush_in_time(self, worker: Worker, run_id: str) -> None:
        here = (worker.address, run_id)
        with self._lock:
            self._will_flush.discard(here)
            long_ones = [one for one in self._progress.get(here, ()) if not one.is_watched]
        self.flush(worker, run_id)
        for progress in long_ones:
            progress.is_watched = True
            left = WORK_PER_UNIT - (time.monotonic() - progress.began)
            worker.loop.call_later(max(0.0, left), self._shorten, worker, run_id, progress)

    def _shorten(self, worker: Worker, run_id: str, progress: _Progress) -> None:
        length = progress.shorten()
        if length is not None:
            self.flush(worker, run_id, Shortened(progress.key, length))

    @contextmanager
    def watched(self, worker: Worker, run_id: str, unit: Unit) -> Iterator[_Progress]:
        """Have the members of a unit that it will not come to go elsewhere while it still runs."""
        here, progress = (worker.address, run_id), _Progress(unit)
        with self._lock:
            self._progress.setdefault(here, []).append(progress)
        try:
            yield progress
        finally:
            progress.shorten()
            with self._lock:
                self._progress[here].remove(progress)
                if not self._progress[here]:
                    del self._progress[here]

    def flush(
        self,
        worker: Worker,
        run_id: str,
        end: UnitReport | Abandoned | Shortened | None = None,
        results: Mapping[int, State] | None = None,
    ) -> None:
        """Stream what is waiting. An end goes at once: before its key, since both take the same way."""
        with self._lock:
            began = self._began.pop((worker.address, run_id), [])
            if began or end is not None:
                # Under the lock, lest an end overtakes its beginning that another thread is about to send.
                worker.log_event(topic_of(run_id), dumps(WorkerNews(worker.address, tuple(began), end, results)))


_here = _RunsHere()


def run_on_worker(run_id: str, environment: bytes, pickled_unit: bytes, needs: list[HeldUnit]) -> HeldUnit:
    """Run a unit and stream its report."""
    worker = get_worker()
    unit: Unit = pickle.loads(pickled_unit)  # noqa: S301  # made by this run's own driver

    def announce(position: int, record: TaskRunRecord) -> None:
        _here.announce(worker, run_id, Began(unit.key, position, record))
        if unit.announce_first:
            _here.flush(worker, run_id)
            time.sleep(SENDING_TAKES)

    def abandon(outcome: Outcome, records: tuple[TaskRunRecord, ...]) -> None:
        _here.flush(worker, run_id, Abandoned(unit.key, outcome, records))
        time.sleep(SENDING_TAKES)
        os._exit(1)

    with _here.watched(worker, run_id, unit) as progress:
        held, report = run_unit(
            _here.environment(worker, run_id, environment),
            unit,
            needs,
            worker=str(worker.name),
            announce=announce,
            # Only a process that a nanny starts again may be ended.
            abandon=abandon if worker.nanny else None,
            may_begin=lambda position: gate_of(run_id) not in worker.plugins and progress.may_begin(position),
        )
    left = TransferableUnit(held.states)
    _here.flush(worker, run_id, replace(report, size=sizeof(left)), small_results(unit, held))
    return left
