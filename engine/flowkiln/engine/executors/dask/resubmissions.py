"""Units are sent to a worker once, whatever becomes of it.

Dask sends again what was on a worker that died, and what it has lost the results of. Whether a task runs again is the
driver's to decide and to announce, so a unit that is sent again must not begin.
"""

from __future__ import annotations

from typing import Any

from distributed import Scheduler, SchedulerPlugin, Worker

_MARK = "flowkiln-sent-before"


class ResubmissionPlugin(SchedulerPlugin):  # type: ignore[misc]
    """Marks, on the scheduler, what is taken from a worker and will be sent to one again."""

    name = "flowkiln-resubmissions"
    idempotent = True

    async def start(self, scheduler: Scheduler) -> None:
        """Called by Dask when the plugin arrives."""
        self._scheduler = scheduler

    def transition(self, key: Any, start: str, finish: str, *args: Any, **kwargs: Any) -> None:
        """Called by Dask for each step of each key, before what follows from it is sent."""
        if finish != "released" or (start != "processing" and start != "memory"):
            return
        task = self._scheduler.tasks.get(key)
        if task is not None and (task.who_wants or task.waiters):
            task.annotations = {**(task.annotations or {}), _MARK: True}


def was_resubmitted(worker: Worker, key: Any) -> bool:
    """Whether what a worker was sent under a key had been sent to one before."""
    task = worker.state.tasks.get(key)
    return task is not None and _MARK in (task.annotations or {})
