"""A queue of keys: each key once, one worker per key, with delayed requeue on request or after an error.

A burst of events about one key causes one call at once and one more after a pause.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TypeAlias

logger = logging.getLogger(__name__)

Key: TypeAlias = tuple[str, str]
"""Namespace and name."""
Work: TypeAlias = Callable[[Key], Awaitable[datetime | None]]
"""Processes a key, and returns when to process it again."""

PAUSE = 0.2
"""Minimum seconds between the starts of two calls with the same key."""
FIRST_DELAY = 0.2
LAST_DELAY = 30.0


@dataclass(slots=True)
class WorkQueue:
    """Call `add` whenever something about a key may have changed; `run` does the work.

    A key that is added while it is being worked on, or within the pause after that, is worked on once more. An
    exception of the work is logged and the key tried again, after 0.2 s, then twice that, up to 30 s.
    """

    work: Work
    concurrency: int
    on_error: Callable[[Key, Exception], None]
    _ready: asyncio.Queue[Key] = field(default_factory=asyncio.Queue)
    _waiting: set[Key] = field(default_factory=set)
    _busy: set[Key] = field(default_factory=set)
    """Keys that are being worked on or in the pause after that."""
    _once_more: set[Key] = field(default_factory=set)
    _timers: dict[Key, asyncio.TimerHandle] = field(default_factory=dict)
    _failures: dict[Key, int] = field(default_factory=dict)

    def add(self, key: Key) -> None:
        """Add a key, to be processed once and soon."""
        if key in self._busy:
            self._once_more.add(key)
        elif key not in self._waiting:
            self._waiting.add(key)
            self._ready.put_nowait(key)

    def add_at(self, key: Key, time: datetime) -> None:
        """Process the key again at this time, replacing an earlier request."""
        self._add_after(key, (time - datetime.now(UTC)).total_seconds())

    def keys(self) -> set[Key]:
        """Return all keys that wait, are worked on, have a timer or have failed."""
        return {*self._waiting, *self._busy, *self._once_more, *self._timers, *self._failures}

    @property
    def is_idle(self) -> bool:
        """Return whether no key waits, is worked on or is in its pause."""
        return not self._waiting and not self._busy

    async def run(self) -> None:
        """Work, until cancelled."""
        async with asyncio.TaskGroup() as workers:
            for _ in range(self.concurrency):
                workers.create_task(self._worker())

    async def _worker(self) -> None:
        while True:
            key = await self._ready.get()
            self._waiting.discard(key)
            self._busy.add(key)
            self._cancel_timer(key)
            loop = asyncio.get_running_loop()
            begun = loop.time()
            try:
                await self._do(key)
            finally:
                loop.call_at(begun + PAUSE, self._end_pause, key)
            # Work that awaits nothing would otherwise block the event loop.
            await asyncio.sleep(0)

    def _end_pause(self, key: Key) -> None:
        self._busy.discard(key)
        if key in self._once_more:
            self._once_more.discard(key)
            self.add(key)

    async def _do(self, key: Key) -> None:
        try:
            again = await self.work(key)
        except Exception as error:  # an error of one run must not stop the others
            failures = self._failures[key] = self._failures.get(key, 0) + 1
            self.on_error(key, error)
            # Bounded before it is a number too large for a float, which it would be after a night of failures.
            self._add_after(key, min(LAST_DELAY, FIRST_DELAY * 2 ** min(failures - 1, 16)))
        else:
            self._failures.pop(key, None)
            if again is not None:
                self.add_at(key, again)

    def _add_after(self, key: Key, seconds: float) -> None:
        self._cancel_timer(key)
        self._timers[key] = asyncio.get_running_loop().call_later(max(0.0, seconds), self._timer_due, key)

    def _timer_due(self, key: Key) -> None:
        self._timers.pop(key, None)
        self.add(key)

    def _cancel_timer(self, key: Key) -> None:
        if (timer := self._timers.pop(key, None)) is not None:
            timer.cancel()
