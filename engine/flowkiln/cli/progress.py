"""What is known about a flow run, gathered from the records that the engine gives."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from threading import RLock

from flowkiln.engine.records import NOT_MAPPED, FlowRunRecord, TaskRunRecord

FAILURES = frozenset({"Failed", "TimedOut", "TriggerFailed", "ValidationFailed", "Crashed"})
FINISHED = FAILURES | {"Success", "Cached", "Mapped", "Skipped", "Cancelled", "Finished"}
WAITING = frozenset({"Retrying", "Scheduled"})
NOTABLE = FAILURES | WAITING | {"Paused", "Skipped", "Cancelled"}
UNTOUCHED = "Pending"


@dataclass
class TaskProgress:
    """A task of the flow: the last record of its own run, and for a mapped task those of its children."""

    name: str
    record: TaskRunRecord
    children: dict[int, TaskRunRecord] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)
    notable: dict[int, TaskRunRecord] = field(default_factory=dict)
    size: int | None = None
    attempts: int = 0
    first_start: float | None = None
    last_end: float | None = None

    @property
    def is_mapped(self) -> bool:
        """Whether the task has, or will have, children."""
        return self.size is not None or bool(self.children)

    @property
    def total(self) -> int:
        """How many children there are."""
        return max(self.size or 0, len(self.children))

    @property
    def finished_children(self) -> int:
        """How many children have ended, well or not."""
        return sum(count for state, count in self.counts.items() if state in FINISHED)

    @property
    def state(self) -> str:
        """The task's State for people: for a mapped task what its children come to, else its own."""
        if not self.is_mapped or self.record.state in FAILURES:
            return self.record.state
        if self.finished_children < self.total:
            return "Running"
        return next(
            (state for state in self.counts if state in FAILURES | {"Cancelled"} and self.counts[state]), "Success"
        )

    @property
    def due(self) -> float | None:
        """When the next waiting run of this task may start, in seconds since the epoch."""
        waiting = [record.due for record in self.noted() if record.state in WAITING and record.due is not None]
        return min(waiting, default=None)

    @property
    def seconds(self) -> float | None:
        """How long the task has taken from its first start to its last end, if it has ended."""
        if self.first_start is None or self.last_end is None or self.state not in FINISHED:
            return None
        return self.last_end - self.first_start

    def noted(self) -> Iterator[TaskRunRecord]:
        """The records that people want to see, of what failed, waits or was left out; the task's own comes first."""
        if self.record.state in NOTABLE:
            yield self.record
        yield from self.notable.values()

    def take(self, record: TaskRunRecord) -> None:
        """Replace what is known about the task itself or about one of its children."""
        self.attempts = max(self.attempts, record.run_count)
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
        """The records of those runs of this task that have failed for good, by map index."""
        return sorted((record for record in self.noted() if record.state in FAILURES), key=lambda one: one.map_index)

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
    """An Observer that keeps the last record of everything, for displays to read under `lock`.

    `names` are the local ids of all tasks, in the order in which they are shown.
    """

    def __init__(self, names: Iterable[str]) -> None:
        self.lock = RLock()
        self.flow = FlowRunRecord(UNTOUCHED)
        self.tasks = {name: TaskProgress(name, TaskRunRecord(name, NOT_MAPPED, UNTOUCHED)) for name in names}

    def on_task_runs(self, records: Sequence[TaskRunRecord]) -> None:
        """Take State changes of task runs."""
        with self.lock:
            for record in records:
                self.tasks[record.task].take(record)

    def on_flow_run(self, record: FlowRunRecord) -> None:
        """Take a State change of the flow run."""
        with self.lock:
            self.flow = record

    def done(self) -> tuple[int, int]:
        """How many task runs have ended, and how many are known so far; mapped parents do not count."""
        with self.lock:
            ended = total = 0
            for task in self.tasks.values():
                total += task.total if task.is_mapped else 1
                ended += task.finished_children if task.is_mapped else task.record.state in FINISHED
            return ended, total
