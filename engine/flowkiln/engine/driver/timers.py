"""Delayed task runs."""

from __future__ import annotations

import heapq

from flowkiln.engine.driver.phases import Phase
from flowkiln.engine.driver.task_runs import TaskRun


class Timers:
    """A heap of delayed task runs. Task runs that are no longer DELAYED are skipped."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, TaskRun]] = []
        self._number = 0
        self._requested: float | None = None

    def set(self, run: TaskRun, due: float) -> None:
        """Add a task run with its due time (seconds since the epoch)."""
        self._number += 1
        heapq.heappush(self._heap, (due, self._number, run))

    def pop_due(self, now: float) -> TaskRun | None:
        """Remove and return a delayed task run that is due, if any."""
        while self._heap and self._heap[0][0] <= now:
            _, _, run = heapq.heappop(self._heap)
            if run.phase is Phase.DELAYED:
                return run
        return None

    @property
    def has_pending(self) -> bool:
        """Return whether a task run is delayed."""
        self._drop_stale()
        return bool(self._heap)

    def fired(self) -> None:
        """Record that the requested time has come."""
        self._requested = None

    def next_wakeup(self) -> float | None:
        """Return the earliest due time if no wake-up is requested by then; it is requested from now on."""
        self._drop_stale()
        if not self._heap or (self._requested is not None and self._heap[0][0] >= self._requested):
            return None
        self._requested = self._heap[0][0]
        return self._requested

    def _drop_stale(self) -> None:
        while self._heap and self._heap[0][2].phase is not Phase.DELAYED:
            heapq.heappop(self._heap)
