"""Task runs that wait for a time."""

from __future__ import annotations

import heapq

from flowkiln.engine.driver.task_runs import Phase, TaskRun


class Timers:
    """The earliest first. A task run that goes on for another reason needs no word here."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, TaskRun]] = []
        self._number = 0
        self._asked_until: float | None = None

    def set(self, run: TaskRun, due: float) -> None:
        """Have a task run wait until a time (seconds since the epoch)."""
        self._number += 1
        heapq.heappush(self._heap, (due, self._number, run))

    def take_due(self, now: float) -> TaskRun | None:
        """Take out one that still waits and whose time has come."""
        while self._heap and self._heap[0][0] <= now:
            _, _, run = heapq.heappop(self._heap)
            if run.phase is Phase.TIMED:
                return run
        return None

    @property
    def is_anyone_waiting(self) -> bool:
        """Whether a time will come at which somebody goes on."""
        self._drop_gone()
        return bool(self._heap)

    def rang(self) -> None:
        """Note that the time that was asked for last has come."""
        self._asked_until = None

    def ask(self) -> float | None:
        """Give the earliest time if nobody was asked to wake us by then; it counts as asked for now."""
        self._drop_gone()
        if not self._heap or (self._asked_until is not None and self._heap[0][0] >= self._asked_until):
            return None
        self._asked_until = self._heap[0][0]
        return self._asked_until

    def _drop_gone(self) -> None:
        while self._heap and self._heap[0][2].phase is not Phase.TIMED:
            heapq.heappop(self._heap)
