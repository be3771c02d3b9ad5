"""Send events about the units of a Dask worker: starts batched and delayed, ends at once."""

from __future__ import annotations

import asyncio
import pickle
import threading
import time
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any
from weakref import WeakKeyDictionary

from distributed import Worker

from flowkiln.common import pickling
from flowkiln.engine.driver import Unit
from flowkiln.engine.executors.dask.events import Abandoned, MemberStarted, Shortened, UnitEnd, WorkerEvent
from flowkiln.engine.unit_runner import WORK_PER_UNIT, UnitReport

STREAM_INTERVAL = 0.05
"""Seconds that a worker collects the starts of task runs before it sends them."""

SCHEDULER_ANSWERS_WITHIN = 5.0
"""Seconds that a worker waits for the scheduler before it goes on without its answer."""

IDLE_INTERVALS = 40
"""Idle intervals after which a worker stops polling; restarting the poll delays a unit."""


def dumps(value: Any) -> bytes:
    """Pickle a value; classes of a flow's script are pickled by value."""
    try:
        return pickle.dumps(value)
    except Exception:
        return pickling.dumps(value)


class UnitProgress:
    """The progress of a unit, shared by the thread that runs it and the one that gives back its last members."""

    def __init__(self, unit: Unit) -> None:
        self.key = unit.key
        self._until = time.monotonic() + WORK_PER_UNIT
        self._lock = threading.Lock()
        self._position, self._length = -1, len(unit.members)

    def may_begin(self, position: int) -> bool:
        """Return whether a member still belongs to this unit, and mark it as started."""
        with self._lock:
            if position < self._length:
                self._position = position
            return position < self._length

    def shorten(self) -> int | None:
        """Drop members that have not started once the unit has run for long; return the new length if it changes."""
        with self._lock:
            has_begun = self._position >= 0
            if not has_begun or self._position + 1 == self._length or time.monotonic() < self._until:
                return None
            self._length = self._position + 1
            return self._length


class EventStream:
    """The events of one worker about one run.

    `idle` counts the polls in a row without events.
    """

    def __init__(self, worker: Worker, topic: str, run_id: str) -> None:
        self._worker, self._topic, self._run_id = weakref.ref(worker), topic, run_id
        self._lock = threading.Lock()
        self._began: list[MemberStarted] = []
        self._running: set[UnitProgress] = set()
        self.idle = 0

    def announce(self, began: MemberStarted) -> None:
        """Send the start of a task run with the next event."""
        with self._lock:
            self._began.append(began)

    def send(self, end: UnitEnd | None = None) -> bool:
        """Send pending starts, and an end if given. The event arrives before the key of the ended unit."""
        with self._lock:
            if not self._began and end is None:
                return False
            worker = self._worker()
            if worker is not None:
                # Under the lock, and by the worker's loop, so an end cannot overtake its start.
                worker.loop.add_callback(worker.log_event, self._topic, self._event(worker, end))
            return True

    def send_now(self, end: Abandoned | None = None) -> None:
        """Send pending starts and an end, and wait until the scheduler has them, because this process may end right
        after.

        Earlier events may arrive later.
        """
        worker = self._worker()
        if worker is None:
            return
        with self._lock:
            event = self._event(worker, end)
        loop = worker.loop.asyncio_loop
        told = asyncio.run_coroutine_threadsafe(worker.scheduler.log_event(topic=self._topic, msg=event), loop)
        with suppress(Exception):  # an unresponsive scheduler has lost this worker anyway
            told.result(timeout=SCHEDULER_ANSWERS_WITHIN)

    def _event(self, worker: Worker, end: UnitEnd | None) -> bytes:
        began, self._began = self._began, []
        if isinstance(end, UnitReport):
            # Nobody need be told that what has ended had begun: the records come with the others of the unit.
            own = tuple(one.record for one in began if one.key == end.key)
            began = [one for one in began if one.key != end.key]
            end = replace(end, records=(*own, *end.records))
        return dumps(WorkerEvent(self._run_id, worker.address, worker.state.nthreads, tuple(began), end))

    @contextmanager
    def running(self, unit: Unit) -> Iterator[UnitProgress]:
        """Track a running unit, so members that it will not reach can be given back."""
        progress = UnitProgress(unit)
        with self._lock:
            self._running.add(progress)
        try:
            yield progress
        finally:
            with self._lock:
                self._running.discard(progress)

    def poll(self) -> bool:
        """Send due events; return False if there are none and no unit is running."""
        with self._lock:
            running = list(self._running)
        told = self.send()
        for progress in running:
            length = progress.shorten()
            if length is not None:
                self.send(Shortened(progress.key, length))
        return told or bool(running)


class EventStreams:
    """The event streams of a worker process, polled periodically. Two workers may share a process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._streams: WeakKeyDictionary[Worker, dict[str, EventStream]] = WeakKeyDictionary()

    def of(self, worker: Worker, topic: str, run_id: str) -> EventStream:
        """Return the stream of a run."""
        with self._lock:
            is_looked_after = worker in self._streams
            own = self._streams.setdefault(worker, {})
            stream = own.get(run_id)
            if stream is None:
                stream = own[run_id] = EventStream(worker, topic, run_id)
            stream.idle = 0
        if not is_looked_after:
            worker.loop.add_callback(self._poll_later, worker)
        return stream

    def _poll_later(self, worker: Worker) -> None:
        worker.loop.call_later(STREAM_INTERVAL, self._poll, worker)

    def _poll(self, worker: Worker) -> None:
        with self._lock:
            own = list(self._streams[worker].values())
        busy = [stream for stream in own if stream.poll()]
        with self._lock:
            for stream in own:
                stream.idle = 0 if stream in busy else stream.idle + 1
            left = {run_id: one for run_id, one in self._streams[worker].items() if one.idle <= IDLE_INTERVALS}
            self._streams[worker] = left
            if not left:
                del self._streams[worker]
                return
        self._poll_later(worker)
