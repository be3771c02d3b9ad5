"""What a Dask client hears of its runs: news from their workers, and which workers died with what on them.

A client subscribes once and passes on what concerns each run, so that a short run need not.
"""

from __future__ import annotations

import asyncio
import pickle
from dataclasses import dataclass
from typing import Any, Protocol

from distributed import Client

from flowkiln.engine.driver import Outcome
from flowkiln.engine.driver.units import UnitKey
from flowkiln.engine.unit_runner import UnitReport
from flowkiln.states.records import TaskRunRecord

# Dask's own count of failures is out of reach: it blames every task that was only queued on a dead worker. What it
# tells under this topic names the tasks that were there.
_SCHEDULER_TOPIC = "all"

POLL_INTERVAL = 0.1
"""Seconds between two looks for what no news will come of."""


@dataclass(frozen=True, slots=True)
class MemberStarted:
    """The member at `position` of a unit began to run."""

    key: UnitKey
    position: int
    record: TaskRunRecord


@dataclass(frozen=True, slots=True)
class Abandoned:
    """A member could not be stopped; its process ends now. The outcomes are those of all that ran, its own the last."""

    key: UnitKey
    outcomes: tuple[Outcome, ...]
    records: tuple[TaskRunRecord, ...]


@dataclass(frozen=True, slots=True)
class Shortened:
    """A unit that goes on will run none but its first `length` members."""

    key: UnitKey
    length: int


@dataclass(frozen=True, slots=True)
class Forgotten:
    """A unit was sent here that had been sent elsewhere before; it has not been run again."""

    key: UnitKey


UnitEnd = UnitReport | Abandoned | Shortened | Forgotten


@dataclass(frozen=True, slots=True)
class WorkerEvent:
    """What a worker with so many `threads` tells about a run, in one event."""

    run_id: str
    address: str
    threads: int
    began: tuple[MemberStarted, ...]
    end: UnitEnd | None


@dataclass(frozen=True, slots=True)
class WorkerLoss:
    """A worker died that nobody had asked to go; `keys` were running or queued on it."""

    address: str
    keys: tuple[UnitKey, ...]


class Listener(Protocol):
    """A run's side: called in the client's thread."""

    def on_worker_event(self, event: WorkerEvent) -> None:
        """Take what a worker tells about this run."""

    def on_worker_loss(self, loss: WorkerLoss) -> None:
        """Take that a worker died, whoever's units were there."""

    async def poll(self) -> None:
        """Look whether there is something that no news will come of."""

    def fail(self, error: Exception) -> None:
        """Take that looking failed."""


class EventSubscriber:
    """Subscribes a client, and passes on to the runs that have joined."""

    def __init__(self, client: Client) -> None:
        self.topic = f"flowkiln-{client.id}"
        self._client = client
        self._listeners: dict[str, Listener] = {}
        self._is_open = False

    def open(self) -> None:
        """Subscribe."""
        self._client.subscribe_topic(self.topic, self._on_worker_event)
        self._client.subscribe_topic(_SCHEDULER_TOPIC, self._on_scheduler_event)
        self._is_open = True
        self._client.loop.add_callback(self._poll)

    def close(self) -> None:
        """Subscribe no longer: Dask complains about subscribers that are gone."""
        self._is_open = False
        self._client.unsubscribe_topic(self.topic)
        self._client.unsubscribe_topic(_SCHEDULER_TOPIC)

    def join(self, run_id: str, listener: Listener) -> None:
        """Pass on what concerns a run from now on."""
        self._listeners[run_id] = listener

    def leave(self, run_id: str) -> None:
        """Pass on nothing more."""
        self._listeners.pop(run_id, None)

    def _on_worker_event(self, message: tuple[float, bytes]) -> None:
        event: WorkerEvent = pickle.loads(message[1])  # noqa: S301  # from the workers of this client's own runs
        listener = self._listeners.get(event.run_id)
        if listener is not None:
            listener.on_worker_event(event)

    def _on_scheduler_event(self, event: tuple[float, Any]) -> None:
        loss = parse_worker_loss(event[1])
        if loss is not None:
            for listener in list(self._listeners.values()):
                listener.on_worker_loss(loss)

    async def _poll(self) -> None:
        while self._is_open:
            for listener in list(self._listeners.values()):
                try:
                    await listener.poll()
                except Exception as error:
                    listener.fail(error)
            await asyncio.sleep(POLL_INTERVAL)


def parse_worker_loss(message: Any) -> WorkerLoss | None:
    """Read an event of Dask's; None unless it says that a worker went unexpectedly."""
    if not isinstance(message, dict) or message.get("action") != "remove-worker" or message.get("expected"):
        return None
    keys = message.get("processing-tasks") or ()
    return WorkerLoss(str(message.get("worker")), tuple(key for key in keys if isinstance(key, tuple)))
