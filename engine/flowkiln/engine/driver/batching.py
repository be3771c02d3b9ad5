"""Measure the plain tasks of a run, and decide when and in which batches they are submitted.

A tiny task takes less time than sending it, so tiny tasks that are ready at the same time share a unit. A long task, or
one with a large result, gets its own unit: every idle thread finds one, and only needed results are moved.
"""

from __future__ import annotations

import math

from flowkiln.engine.driver.fusion import UnitPolicy

TINY_SECONDS = 0.01
"""Seconds of work below which a task is tiny."""

SMALL_BYTES = 16 * 1024
"""Bytes of result below which results of several tasks may share a unit."""

BATCH_SECONDS = 0.02
"""Target seconds of work in a batch of tiny tasks."""

SMOOTHING = 0.2
"""Weight of the newest unit in the moving averages."""


class Batching:
    """Moving averages over the finished plain units."""

    def __init__(self, policy: UnitPolicy) -> None:
        self._policy = policy
        self._seconds: float | None = None
        self._size = 0.0

    def note(self, members: int, seconds: float, size: int) -> None:
        """Record the duration and result size of a unit with `members` members."""
        if not members:
            return
        weight = 1.0 if self._seconds is None else SMOOTHING
        self._seconds = (1 - weight) * (self._seconds or 0.0) + weight * seconds / members
        self._size = (1 - weight) * self._size + weight * size / members

    @property
    def target_in_flight(self) -> int:
        """Return the number of units in flight that keeps every thread busy during the round trip to the driver."""
        return 2 * self._policy.threads

    def submittable(self, ready: int, under_way: int) -> int:
        """Return how many of the ready task runs to submit now, with `under_way` units in flight."""
        if self._seconds is None:
            return max(0, self._policy.threads * self._policy.waves - under_way)
        return 0 if self._is_tiny and under_way >= self.target_in_flight else ready

    def batch_size(self, ready: int) -> int:
        """Return how many of `ready` task runs share a unit."""
        if not self._is_tiny or self._seconds is None:
            return 1
        by_work = int(BATCH_SECONDS / max(self._seconds, 1e-6))
        return max(1, min(self._policy.largest, by_work, math.ceil(ready / self.target_in_flight)))

    @property
    def _is_tiny(self) -> bool:
        return self._seconds is not None and self._seconds < TINY_SECONDS and self._size < SMALL_BYTES
