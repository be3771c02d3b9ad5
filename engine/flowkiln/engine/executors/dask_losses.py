"""Tells the sessions of a Dask client which workers died, and what was on them.

Dask's own count of failures is out of reach: it blames every task that was only queued on a dead worker.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

from distributed import Client

from flowkiln.engine.driver.units import UnitKey

# A client has one handler for each topic, and all its sessions want this one.
_TOPIC = "all"


@dataclass(frozen=True, slots=True)
class Loss:
    """A worker died that nobody had asked to go; `keys` were running or queued on it."""

    address: str
    keys: tuple[UnitKey, ...]


Watcher = Callable[[Loss], None]

_watchers: WeakKeyDictionary[Client, list[Watcher]] = WeakKeyDictionary()
_lock = threading.Lock()


def watch_losses(client: Client, watcher: Watcher) -> None:
    """Call `watcher` for each loss from now on, in the client's thread."""
    with _lock:
        watchers = _watchers.setdefault(client, [])
        watchers.append(watcher)
        if len(watchers) > 1:
            return

    def on_event(event: tuple[float, Any]) -> None:
        loss = read_loss(event[1])
        if loss is not None:
            for one in list(watchers):
                one(loss)

    client.subscribe_topic(_TOPIC, on_event)


def unwatch_losses(client: Client, watcher: Watcher) -> None:
    """Stop calling `watcher`."""
    with _lock:
        watchers = _watchers.get(client, [])
        watchers.remove(watcher)
        if not watchers:
            client.unsubscribe_topic(_TOPIC)
            del _watchers[client]


def read_loss(message: Any) -> Loss | None:
    """Read an event of Dask's; None unless it says that a worker went unexpectedly."""
    if not isinstance(message, dict) or message.get("action") != "remove-worker" or message.get("expected"):
        return None
    keys = message.get("processing-tasks") or ()
    return Loss(str(message.get("worker")), tuple(key for key in keys if isinstance(key, tuple)))
