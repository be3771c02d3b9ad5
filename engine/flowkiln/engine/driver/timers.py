"""Task runs that wait for a time."""

from __future__ import annotations

import heapq

from flowkiln.engine.driver.phases import Phase
from flowkiln.engine.driver.task_runs import TaskRun


class Timers:
    """The earliest first. A task run that goes on for another reason needs no word here."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, TaskRun]] = []
        self._number = 0
        self._requested: float | None = None

    def set(self, run: TaskRun, due: float) -> None:
        """Have a task run wait until a time (seconds since the epoch)."""
        self._number += 1
        heapq.heappush(self._heap, (due, self._number, run))

    def pop_due(self, now: float) -> TaskRun | None:
        """Take out one that still waits and whose time has come."""
        while self._heap and self._heap[0][0] <= now:
            _, _, run = heapq.heappop(self._heap)
            if run.phase is Phase.DELAYED:
                return run
        return None

    @property
    def has_pending(self) -> bool:
        """Whether a time will come at which somebody goes on."""
        self._drop_stale()
        return bool(self._heap)

    def fired(self) -> None:
        """Note that the time that was asked for last has come."""
        self._requested = None

    def next_wakeup(self) -> float | None:
        """Give the earliest time if nobody was asked to wake us by then; it counts as asked for now."""
        self._drop_stale()
        if not self._heap or (self._requested is not None and self._heap[0][0] >= self._requested):
            return None
        self._requested = self._heap[0][0]
        return self._requested

    def _drop_stale(self) -> None:
        while self._heap and self._heap[0][2].phase is not Phase.DELAYED:
            heapq.heappop(self._heap)
