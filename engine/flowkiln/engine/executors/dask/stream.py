"""What a Dask worker tells about the units that run on it: beginnings soon and together, ends at once."""

from __future__ import annotations

import asyncio
import pickle
import threading
import time
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any
from weakref import WeakKeyDictionary

from distributed import Worker

from flowkiln.common import pickling
from flowkiln.engine.driver import Unit
from flowkiln.engine.executors.dask.events import Abandoned, MemberStarted, Shortened, UnitEnd, WorkerEvent
from flowkiln.engine.unit_runner import WORK_PER_UNIT

STREAM_INTERVAL = 0.05
"""Seconds that a worker collects the beginnings of task runs before it sends them."""

SCHEDULER_ANSWERS_WITHIN = 5.0
"""Seconds that a worker waits for the scheduler before it goes on without its answer."""

IDLE_INTERVALS = 40
"""Intervals without anything to tell after which a worker stops looking for it; starting again interrupts a unit."""


def dumps(value: Any) -> bytes:
    """Pickle; classes that are defined in a flow's own script travel by value."""
    try:
        return pickle.dumps(value)
    except Exception:
        return pickling.dumps(value)


class UnitProgress:
    """How far a unit is: agreed on by the thread that runs it and the one that gives its last members back."""

    def __init__(self, unit: Unit) -> None:
        self.key = unit.key
        self._until = time.monotonic() + WORK_PER_UNIT
        self._lock = threading.Lock()
        self._position, self._length = -1, len(unit.members)

    def may_begin(self, position: int) -> bool:
        """Whether a member is still this unit's to run; then it begins."""
        with self._lock:
            if position < self._length:
                self._position = position
            return position < self._length

    def shorten(self) -> int | None:
        """Once it has run for long, give up all members that have not begun; gives the new length if that changes."""
        with self._lock:
            has_begun = self._position >= 0
            if not has_begun or self._position + 1 == self._length or time.monotonic() < self._until:
                return None
            self._length = self._position + 1
            return self._length


class EventStream:
    """What one worker tells about one run, as events that its client is subscribed to.

    `idle` counts the looks in a row that found nothing.
    """

    def __init__(self, worker: Worker, topic: str, run_id: str) -> None:
        self._worker, self._topic, self._run_id = weakref.ref(worker), topic, run_id
        self._lock = threading.Lock()
        self._began: list[MemberStarted] = []
        self._running: set[UnitProgress] = set()
        self.idle = 0

    def announce(self, began: MemberStarted) -> None:
        """Tell with the next event that a task run began."""
        with self._lock:
            self._began.append(began)

    def send(self, end: UnitEnd | None = None) -> bool:
        """Tell an end, with what is waiting, or this alone. It goes before the key of what ended, by the same way."""
        with self._lock:
            if not self._began and end is None:
                return False
            worker = self._worker()
            if worker is not None:
                # Under the lock, and by the worker's loop whoever calls, lest an end overtakes its beginning.
                worker.loop.add_callback(worker.log_event, self._topic, self._event(worker, end))
            return True

    def send_now(self, end: Abandoned | None = None) -> None:
        """Tell what is waiting, and an end, and wait until the scheduler has it: this process may be gone right after.

        What was told before may arrive after it.
        """
        worker = self._worker()
        if worker is None:
            return
        with self._lock:
            event = self._event(worker, end)
        loop = worker.loop.asyncio_loop
        told = asyncio.run_coroutine_threadsafe(worker.scheduler.log_event(topic=self._topic, msg=event), loop)
        with suppress(Exception):  # a scheduler that does not answer has lost this worker anyway
            told.result(timeout=SCHEDULER_ANSWERS_WITHIN)

    def _event(self, worker: Worker, end: UnitEnd | None) -> bytes:
        began, self._began = tuple(self._began), []
        return dumps(WorkerEvent(self._run_id, worker.address, worker.state.nthreads, began, end))

    @contextmanager
    def running(self, unit: Unit) -> Iterator[UnitProgress]:
        """While a unit runs for long, members that it will not come to are given back to go elsewhere."""
        progress = UnitProgress(unit)
        with self._lock:
            self._running.add(progress)
        try:
            yield progress
        finally:
            with self._lock:
                self._running.discard(progress)

    def poll(self) -> bool:
        """Tell what is to be told by now; False if there is nothing and no unit runs."""
        with self._lock:
            running = list(self._running)
        told = self.send()
        for progress in running:
            length = progress.shorten()
            if length is not None:
                self.send(Shortened(progress.key, length))
        return told or bool(running)


class EventStreams:
    """The streams of a worker process, which looks after each now and then. Two workers may share a process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._streams: WeakKeyDictionary[Worker, dict[str, EventStream]] = WeakKeyDictionary()

    def of(self, worker: Worker, topic: str, run_id: str) -> EventStream:
        """Give the stream of a run."""
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
