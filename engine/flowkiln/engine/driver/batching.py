"""How quick the plain tasks of a run are, and what follows for when they are submitted and in what company.

A tiny task costs less than what it takes to send it, so tiny ones that are ready travel together. Long ones, and those
with large results, travel each by itself: then every idle thread finds one, and only what is needed is moved.
"""

from __future__ import annotations

import math

from flowkiln.engine.driver.fusion import UnitPolicy

TINY_SECONDS = 0.01
"""Seconds of work below which a task is tiny."""

SMALL_BYTES = 16 * 1024
"""Bytes of result below which it does not matter who else's travel along."""

BATCH_SECONDS = 0.02
"""Seconds of work that tiny tasks are put together for."""

SMOOTHING = 0.2
"""Weight of the newest unit in what is known."""


class Batching:
    """What is known of the plain units that have ended."""

    def __init__(self, policy: UnitPolicy) -> None:
        self._policy = policy
        self._seconds: float | None = None
        self._size = 0.0

    def note(self, members: int, seconds: float, size: int) -> None:
        """Take in that a unit of so many members took so long and left behind so many bytes."""
        if not members:
            return
        weight = 1.0 if self._seconds is None else SMOOTHING
        self._seconds = (1 - weight) * (self._seconds or 0.0) + weight * seconds / members
        self._size = (1 - weight) * self._size + weight * size / members

    @property
    def target_in_flight(self) -> int:
        """Units under way that keep every thread busy while news travel."""
        return 2 * self._policy.threads

    def submittable(self, ready: int, under_way: int) -> int:
        """How many of the ready task runs are submitted now, with so many units under way."""
        if self._seconds is None:
            return max(0, self._policy.threads * self._policy.waves - under_way)
        return 0 if self._is_tiny and under_way >= self.target_in_flight else ready

    def batch_size(self, ready: int) -> int:
        """How many of so many ready task runs travel as one unit."""
        if not self._is_tiny or self._seconds is None:
            return 1
        by_work = int(BATCH_SECONDS / max(self._seconds, 1e-6))
        return max(1, min(self._policy.largest, by_work, math.ceil(ready / self.target_in_flight)))

    @property
    def _is_tiny(self) -> bool:
        return self._seconds is not None and self._seconds < TINY_SECONDS and self._size < SMALL_BYTES
