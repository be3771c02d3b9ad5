"""The queue of plain task runs that can be submitted: ready ones, and early ones whose upstreams are in flight."""

from __future__ import annotations

from collections import OrderedDict

from flowkiln.engine.driver.task_runs import TaskRun


class ReadyQueue:
    """Two FIFO queues; a task run is in at most one of them."""

    def __init__(self) -> None:
        self._ready: OrderedDict[TaskRun, None] = OrderedDict()
        self._early: OrderedDict[TaskRun, None] = OrderedDict()

    def put(self, run: TaskRun, *, ready: bool) -> None:
        """Add a task run; move it to the other queue if its upstreams have ended."""
        if ready:
            self._early.pop(run, None)
            self._ready.setdefault(run)
        else:
            self._ready.pop(run, None)
            self._early.setdefault(run)

    def __bool__(self) -> bool:
        """Return whether the queue has task runs."""
        return bool(self._ready or self._early)

    def is_early(self, run: TaskRun) -> bool:
        """Return whether a task run is queued although its upstreams were in flight."""
        return run in self._early

    def is_ready(self, run: TaskRun) -> bool:
        """Whether a task run is in line, and nothing upstream of it is to come."""
        return run in self._ready

    @property
    def ready(self) -> int:
        """Return the number of ready task runs."""
        return len(self._ready)

    def take_ready(self, count: int) -> list[TaskRun]:
        """Remove and return the first ready task runs."""
        return [self._ready.popitem(last=False)[0] for _ in range(min(count, len(self._ready)))]

    def take_early(self) -> TaskRun | None:
        """Remove and return the first early task run."""
        return self._early.popitem(last=False)[0] if self._early else None

    def clear(self) -> None:
        """Remove all task runs."""
        self._ready.clear()
        self._early.clear()
