"""Measure the plain tasks of a run, and decide when and in which batches they are submitted.

A tiny task takes less time than sending it, so tiny tasks that are ready at the same time share a unit. A long task, or
one with a large result, gets its own unit: every idle thread finds one, and only needed results are moved.

A few tiny tasks that are ready take their downstream tasks along, as far as these need nothing else: several layers of
a graph then cost one message.
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

SPLIT_SECONDS = 0.005
"""Least seconds of work for which a batch is split: sending a unit takes about as long."""

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
        return 0 if self.is_tiny and under_way >= self.target_in_flight else ready

    def batch_size(self, ready: int) -> int:
        """Return how many of `ready` task runs share a unit."""
        if not self.is_tiny or self._seconds is None:
            return 1
        parts = min(self.target_in_flight, math.ceil(ready * self._seconds / SPLIT_SECONDS))
        return max(1, min(self._largest, math.ceil(ready / max(1, parts))))

    def room(self, ready: int) -> int:
        """Return how many task runs the unit of `ready` ones may have when it takes downstream tasks along.

        Return 0 if they need several units: these run at the same time, and take nothing along.
        """
        return self._largest if self.is_tiny and 0 < ready <= self.batch_size(ready) else 0

    @property
    def _largest(self) -> int:
        by_work = int(BATCH_SECONDS / max(self._seconds or 0.0, 1e-6))
        return max(1, min(self._policy.largest_batch, by_work))

    @property
    def is_tiny(self) -> bool:
        """Return whether the tasks are known to be tiny."""
        return self._seconds is not None and self._seconds < TINY_SECONDS and self._size < SMALL_BYTES
