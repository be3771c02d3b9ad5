"""Plain task runs that could be submitted: those that are ready, and those whose upstream is under way."""

from __future__ import annotations

from collections import OrderedDict

from flowkiln.engine.driver.task_runs import TaskRun


class ReadyQueue:
    """Two queues, first come first served; a task run stands in one of them at most."""

    def __init__(self) -> None:
        self._ready: OrderedDict[TaskRun, None] = OrderedDict()
        self._early: OrderedDict[TaskRun, None] = OrderedDict()

    def put(self, run: TaskRun, *, ready: bool) -> None:
        """Line up; one whose upstream has ended meanwhile changes over."""
        if ready:
            self._early.pop(run, None)
            self._ready.setdefault(run)
        else:
            self._ready.pop(run, None)
            self._early.setdefault(run)

    def __bool__(self) -> bool:
        """Whether anybody is in line."""
        return bool(self._ready or self._early)

    def is_early(self, run: TaskRun) -> bool:
        """Whether a task run is in line although its upstream was under way."""
        return run in self._early

    @property
    def ready(self) -> int:
        """How many are ready."""
        return len(self._ready)

    def take_ready(self, count: int) -> list[TaskRun]:
        """Take the first of those that are ready."""
        return [self._ready.popitem(last=False)[0] for _ in range(min(count, len(self._ready)))]

    def take_early(self) -> TaskRun | None:
        """Take the first of those whose upstream is under way."""
        return self._early.popitem(last=False)[0] if self._early else None

    def clear(self) -> None:
        """Send everybody home."""
        self._ready.clear()
        self._early.clear()
