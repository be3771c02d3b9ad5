"""Find the failed or skipped tasks because of which other tasks did not run."""

from __future__ import annotations

from collections.abc import Mapping

from flowkiln.cli.progress import TaskProgress, full_name
from flowkiln.states.kinds import FAILURES
from flowkiln.states.records import TaskRunRecord

MAX_NAMES = 4
"""Maximum number of root causes per task."""


class RootCauses:
    """Find the root causes of each task that did not run: the first upstream tasks that failed or were skipped.

    The root causes of a task are final once the task and its upstream tasks have ended.
    """

    def __init__(self, tasks: Mapping[str, TaskProgress]) -> None:
        self._tasks = tasks
        self._found: dict[str, tuple[str, ...]] = {}

    def of(self, task: TaskProgress) -> tuple[str, ...]:
        """Return the root causes of a task; none if it ran, or if it failed or was skipped itself."""
        if not did_not_run(task):
            return ()
        if task.name not in self._found:
            names = (name for above in task.upstream for name in self._causes(self._tasks[above], task.state))
            self._found[task.name] = tuple(dict.fromkeys(names))[:MAX_NAMES]
        return self._found[task.name]

    def of_child(self, task: TaskProgress, record: TaskRunRecord) -> tuple[str, ...]:
        """Return the root causes of a mapped child, whose siblings and upstream tasks may still be running."""
        if record.state not in ("TriggerFailed", "Skipped") or _has_begun(record):
            return ()
        names: dict[str, None] = {}
        for upstream in (self._tasks[name] for name in task.upstream):
            child = upstream.children.get(record.map_index)
            if child is None:
                names.update(dict.fromkeys(self._causes(upstream, record.state)))
            elif _has_same_cause(child.state, record.state):
                names[full_name(child)] = None
        return tuple(names)[:MAX_NAMES]

    def _causes(self, upstream: TaskProgress, state: str) -> tuple[str, ...]:
        return self.of(upstream) or (upstream.name,) if _has_same_cause(upstream.state, state) else ()


def root_causes(tasks: Mapping[str, TaskProgress]) -> dict[str, tuple[str, ...]]:
    """Return the root causes of all tasks that have some.

    `tasks` must list each task after its upstream tasks.
    """
    found = RootCauses(tasks)
    return {name: names for name, task in tasks.items() if (names := found.of(task))}


def did_not_run(task: TaskProgress) -> bool:
    """Return whether the task did not run: none of its failed or skipped runs has started."""
    return task.state in ("TriggerFailed", "Skipped") and not any(map(_has_begun, task.noted()))


def _has_begun(record: TaskRunRecord) -> bool:
    return record.run_count > 0 or record.start_time is not None


def _has_same_cause(upstream: str, state: str) -> bool:
    """Return whether an upstream State explains that a task is TriggerFailed or Skipped."""
    return upstream == "Skipped" if state == "Skipped" else upstream in FAILURES
