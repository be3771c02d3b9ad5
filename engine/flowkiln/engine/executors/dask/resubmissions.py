"""Prevent Dask from running a unit twice.

Dask resubmits the tasks of a lost worker, and tasks with lost results. But the driver decides and announces reruns, so
a worker must not run a resubmitted unit.
"""

from __future__ import annotations

from typing import Any

from distributed import Scheduler, SchedulerPlugin, Worker

_MARK = "flowkiln-sent-before"


class ResubmissionPlugin(SchedulerPlugin):  # type: ignore[misc]
    """Marks, on the scheduler, tasks that will be sent to a worker again."""

    name = "flowkiln-resubmissions"
    idempotent = True

    async def start(self, scheduler: Scheduler) -> None:
        """Store the scheduler; called by Dask when the plugin arrives."""
        self._scheduler = scheduler

    def transition(self, key: Any, start: str, finish: str, *args: Any, **kwargs: Any) -> None:
        """Mark a key that will be sent again; called by Dask for each transition, before its messages are sent."""
        if finish != "released" or (start != "processing" and start != "memory"):
            return
        task = self._scheduler.tasks.get(key)
        if task is not None and (task.who_wants or task.waiters):
            task.annotations = {**(task.annotations or {}), _MARK: True}


def was_resubmitted(worker: Worker, key: Any) -> bool:
    """Return whether the task with a key was sent to a worker before."""
    task = worker.state.tasks.get(key)
    return task is not None and _MARK in (task.annotations or {})
