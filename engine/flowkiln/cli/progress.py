"""The progress of a flow run, collected from the engine's records."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from threading import RLock
from typing import TYPE_CHECKING

from flowkiln.core.local_ids import local_ids
from flowkiln.states.kinds import FAILURES, FINISHED, NOT_STARTED, ROOT_FAILURES, RUNNING, WAITING
from flowkiln.states.records import NOT_MAPPED, FlowRunRecord, TaskRunRecord

if TYPE_CHECKING:
    from flowkiln.core.flow import Flow

NOTABLE = FAILURES | WAITING | {"Paused", "Skipped", "Cancelled"}


@dataclass
class TaskProgress:
    """A task of the flow: the last record of its own run, and for a mapped task those of its children.

    `upstream` has the local ids of the tasks directly upstream. `is_implicit` marks a task that represents a value or
    an index in the flow's code; it is shown only if it fails. `attempts` is the number of attempts; for a mapped task
    the maximum of its children.
    """

    name: str
    record: TaskRunRecord
    upstream: tuple[str, ...] = ()
    is_implicit: bool = False
    children: dict[int, TaskRunRecord] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)
    notable: dict[int, TaskRunRecord] = field(default_factory=dict)
    size: int | None = None
    attempts: int = 0
    first_start: float | None = None
    last_end: float | None = None
    _runs: dict[int, int] = field(default_factory=dict)

    @property
    def is_mapped(self) -> bool:
        """Return whether the task has, or will have, children."""
        return self.size is not None or bool(self.children)

    @property
    def total(self) -> int:
        """Return how many children there are."""
        return max(self.size or 0, len(self.children))

    @property
    def finished_children(self) -> int:
        """Return how many children have ended, in any State."""
        return sum(count for state, count in self.counts.items() if state in FINISHED)

    @property
    def state(self) -> str:
        """Return the displayed State; that of a mapped task combines those of its children."""
        if not self.is_mapped or self.record.state in FAILURES:
            return self.record.state
        if self.finished_children < self.total:
            return "Running"
        there = +self.counts
        return next(
            (state for state in (*sorted(ROOT_FAILURES), "TriggerFailed", "Cancelled") if state in there),
            "Skipped" if set(there) == {"Skipped"} else "Success",
        )

    @property
    def is_shown(self) -> bool:
        """Return whether the task is shown: it is explicit in the flow's code, or it failed itself."""
        return not self.is_implicit or self.state in ROOT_FAILURES

    @property
    def due(self) -> float | None:
        """Return when the next waiting run of this task may start, in seconds since the epoch."""
        waiting = [record.due for record in self.noted() if record.state in WAITING and record.due is not None]
        return min(waiting, default=None)

    @property
    def seconds(self) -> float | None:
        """Return how long the task has taken from its first start to its last end, if it has ended."""
        if self.first_start is None or self.last_end is None or self.state not in FINISHED:
            return None
        return self.last_end - self.first_start

    def noted(self) -> Iterator[TaskRunRecord]:
        """Return the records of runs that failed, wait, or did not run; the task's own comes first."""
        if self.record.state in NOTABLE:
            yield self.record
        yield from self.notable.values()

    def take(self, record: TaskRunRecord) -> None:
        """Replace what is known about the task itself or about one of its children."""
        self._count_attempts(record)
        if record.map_index == NOT_MAPPED:
            self.record = record
            self.size = self.size if record.map_size is None else record.map_size
        else:
            self._take_child(record)
        if record.start_time is not None and record.map_size is None:
            self.first_start = min(self.first_start or record.start_time, record.start_time)
        if record.end_time is not None and record.map_size is None:
            self.last_end = max(self.last_end or record.end_time, record.end_time)

    def failures(self) -> list[TaskRunRecord]:
        """Return the records of the finally failed runs of this task, by map index."""
        return sorted((record for record in self.noted() if record.state in FAILURES), key=lambda one: one.map_index)

    def running(self) -> list[str]:
        """Return the full names of the runs of this task whose bodies are running."""
        own = [self.record, *sorted(self.children.values(), key=lambda one: one.map_index)]
        return [full_name(one) for one in own if one.state in RUNNING]

    def attempts_of(self, record: TaskRunRecord) -> int:
        """Return the number of attempts of a task run."""
        return max(record.run_count, self._runs.get(record.map_index, 0))

    def _count_attempts(self, record: TaskRunRecord) -> None:
        """Count starts of the body: a rerun on a new worker has a new visit, but no new run count."""
        before = self.record if record.map_index == NOT_MAPPED else self.children.get(record.map_index)
        runs = self._runs.get(record.map_index, 0)
        if record.state in RUNNING and (
            not runs or before is None or (before.visit, before.run_count) < (record.visit, record.run_count)
        ):
            runs += 1
            self._runs[record.map_index] = runs
        self.attempts = max(self.attempts, record.run_count, runs)

    def _take_child(self, record: TaskRunRecord) -> None:
        before = self.children.get(record.map_index)
        if before is not None:
            self.counts[before.state] -= 1
        self.children[record.map_index] = record
        self.counts[record.state] += 1
        if record.state in NOTABLE:
            self.notable[record.map_index] = record
        else:
            self.notable.pop(record.map_index, None)


class RunProgress:
    """An Observer that keeps the last record of each task run; displays read it under `lock`.

    `names` are the local ids of all tasks in display order, each after its `upstream` tasks.
    """

    def __init__(
        self, names: Iterable[str], upstream: Mapping[str, Sequence[str]] | None = None, implicit: Iterable[str] = ()
    ) -> None:
        self.lock = RLock()
        self.flow = FlowRunRecord(NOT_STARTED)
        self.waits_for: list[str] | None = None
        upstream_of, are_implicit = upstream or {}, frozenset(implicit)
        self.tasks = {
            name: TaskProgress(
                name,
                TaskRunRecord(name, NOT_MAPPED, NOT_STARTED),
                tuple(upstream_of.get(name, ())),
                name in are_implicit,
            )
            for name in names
        }

    def on_task_runs(self, records: Sequence[TaskRunRecord]) -> None:
        """Handle State changes of task runs."""
        with self.lock:
            for record in records:
                self.tasks[record.task].take(record)

    def on_flow_run(self, record: FlowRunRecord) -> None:
        """Handle a State change of the flow run."""
        with self.lock:
            self.flow = record

    def begin_to_end(self) -> list[str]:
        """Record that the run is being ended, and return the full names of the running task runs."""
        with self.lock:
            if self.waits_for is None:
                self.waits_for = [name for task in self.shown() for name in task.running()]
            return self.waits_for

    def shown(self) -> list[TaskProgress]:
        """Return the displayed tasks, in order."""
        with self.lock:
            return [task for task in self.tasks.values() if task.is_shown]

    def done(self) -> tuple[int, int]:
        """Return how many task runs have ended, and how many are known so far; mapped parents do not count."""
        with self.lock:
            ended = total = 0
            for task in self.shown():
                total += task.total if task.is_mapped else 1
                ended += task.finished_children if task.is_mapped else task.record.state in FINISHED
            return ended, total

    def counts(self) -> Counter[str]:
        """Return how many task runs are in each state; mapped parents do not count."""
        with self.lock:
            counts: Counter[str] = Counter()
            for task in self.shown():
                counts.update(task.counts if task.is_mapped else [task.record.state])
                if missing := task.total - len(task.children):
                    counts[NOT_STARTED] += missing
            return +counts


def progress_of(flow: Flow) -> RunProgress:
    """Return the progress of a flow that has not started."""
    names, ordered = local_ids(flow), flow.sorted_tasks()
    position = {task: number for number, task in enumerate(ordered)}
    above = {task: sorted(flow.upstream_tasks(task), key=position.__getitem__) for task in ordered}
    return RunProgress(
        [names[task] for task in ordered],
        {names[task]: [names[one] for one in above[task]] for task in ordered},
        [name for task, name in names.items() if task.is_implicit],
    )


def full_name(record: TaskRunRecord) -> str:
    """Return the full name of a task run: `load`, or `load[3]`."""
    return record.task if record.map_index == NOT_MAPPED else f"{record.task}[{record.map_index}]"
