"""Subscribe a Dask client to the events of its runs: reports of workers, and losses of workers.

A client subscribes once and dispatches the events to its runs, so a short run need not subscribe.
"""

from __future__ import annotations

import asyncio
import pickle
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from distributed import Client

from flowkiln.engine.driver import Outcome
from flowkiln.engine.driver.units import UnitKey
from flowkiln.engine.unit_runner import UnitReport
from flowkiln.states.records import TaskRunRecord

# Dask's own count of failures is not usable: it blames every task that was only queued on a lost worker. The events of
# this topic name the tasks that were there.
_SCHEDULER_TOPIC = "all"

POLL_INTERVAL = 0.1
"""Seconds between two polls for units that send no event."""


class MemberStarted(NamedTuple):
    """The member at `position` of a unit started to run."""

    key: UnitKey
    position: int
    record: TaskRunRecord


@dataclass(frozen=True, slots=True)
class Abandoned:
    """A member could not be stopped; its process ends now. The outcomes are those of all that ran, its own last."""

    key: UnitKey
    outcomes: tuple[Outcome, ...]
    records: tuple[TaskRunRecord, ...]


@dataclass(frozen=True, slots=True)
class Shortened:
    """A running unit will only run its first `length` members."""

    key: UnitKey
    length: int


@dataclass(frozen=True, slots=True)
class Forgotten:
    """Dask sent a unit again, and the worker did not run it."""

    key: UnitKey


UnitEnd = UnitReport | Abandoned | Shortened | Forgotten


@dataclass(frozen=True, slots=True)
class WorkerEvent:
    """One event of a worker with `threads` threads about a run."""

    run_id: str
    address: str
    threads: int
    began: tuple[MemberStarted, ...]
    end: UnitEnd | None


@dataclass(frozen=True, slots=True)
class WorkerLoss:
    """A worker was lost unexpectedly; `keys` were running or queued on it."""

    address: str
    keys: tuple[UnitKey, ...]


class Listener(Protocol):
    """The listener of one run, called in the client's thread."""

    def on_worker_event(self, event: WorkerEvent) -> None:
        """Handle an event of a worker about this run."""

    def on_worker_loss(self, loss: WorkerLoss) -> None:
        """Handle the loss of a worker, which may have had units of this run."""

    async def poll(self) -> None:
        """Poll for units that send no event."""

    def fail(self, error: Exception) -> None:
        """Handle an error of polling."""


class EventSubscriber:
    """Subscribes a client, and dispatches its events to the runs that have joined."""

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
        """Unsubscribe: Dask logs errors about closed subscribers."""
        self._is_open = False
        self._client.unsubscribe_topic(self.topic)
        self._client.unsubscribe_topic(_SCHEDULER_TOPIC)

    def join(self, run_id: str, listener: Listener) -> None:
        """Start dispatching events to a run."""
        self._listeners[run_id] = listener

    def leave(self, run_id: str) -> None:
        """Stop dispatching events to a run."""
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
    """Return the loss in an event of Dask's scheduler; None unless a worker was removed unexpectedly."""
    if not isinstance(message, dict) or message.get("action") != "remove-worker" or message.get("expected"):
        return None
    keys = message.get("processing-tasks") or ()
    return WorkerLoss(str(message.get("worker")), tuple(key for key in keys if isinstance(key, tuple)))
