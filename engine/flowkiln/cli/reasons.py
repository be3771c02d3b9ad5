"""Why tasks did not run: which failure, or which skip, was in their way."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from flowkiln.cli.progress import CAUSES, TaskProgress
from flowkiln.engine.records import TaskRunRecord

MOST_NAMES = 4
"""Of more tasks that are to blame no more names are kept."""


def origins(tasks: Iterable[TaskProgress]) -> dict[str, tuple[str, ...]]:
    """Return for each task that did not run for others' sake the names of those that failed, or were skipped, first.

    Tasks are given each after those upstream of it. What failed or was skipped by itself has no entry.
    """
    known: dict[str, TaskProgress] = {}
    found: dict[str, tuple[str, ...]] = {}
    for task in tasks:
        known[task.name] = task
        if passes_on(task):
            to_blame = dict.fromkeys(name for above in task.upstream for name in _to_blame(above, task, known, found))
            if to_blame:
                found[task.name] = tuple(to_blame)[:MOST_NAMES]
    return found


def passes_on(task: TaskProgress) -> bool:
    """Whether no run of the task that went wrong has begun."""
    return task.state in ("TriggerFailed", "Skipped") and not any(map(_has_begun, task.noted()))


def _has_begun(record: TaskRunRecord) -> bool:
    return record.run_count > 0 or record.start_time is not None


def _to_blame(
    above: str, task: TaskProgress, known: Mapping[str, TaskProgress], found: Mapping[str, tuple[str, ...]]
) -> tuple[str, ...]:
    upstream = known[above]
    is_alike = upstream.state == "Skipped" if task.state == "Skipped" else upstream.state in (*CAUSES, "TriggerFailed")
    return found.get(above, (above,)) if is_alike else ()
