"""The state of every task run of a flow run, updated by records, and rendered within a budget.

A record has constant cost. Rendering costs only the changes since the last time: each task's entry is cached as JSON
text until the task changes.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from flowkiln.states.kinds import FAILURES, FINISHED, MAPPED, NOT_STARTED, RUNNING
from flowkiln.states.records import NOT_MAPPED, FlowRunRecord, TaskRunRecord
from flowkiln_operator.agent.projection.budget import Candidate, fit
from flowkiln_operator.agent.projection.children import Children
from flowkiln_operator.agent.projection.entry import TaskEntry, render
from flowkiln_operator.agent.projection.failures import FailureTexts
from flowkiln_operator.agent.projection.groups import ENDED_VISIT

Key = tuple[str, int]
"""A task run: local id and map index."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """The task run that is due next: its full name, its state and its time in seconds since the epoch."""

    name: str
    state: str
    due: float


@dataclass(frozen=True, slots=True)
class RunCounts:
    """Counts of task runs. Children of a mapped task count individually; their parent does not count."""

    by_state: dict[str, int]
    next_due: Waiting | None
    paused: tuple[str, ...]
    """Names of the first few paused task runs."""

    @property
    def total(self) -> int:
        """Return the number of known task runs."""
        return sum(self.by_state.values())

    @property
    def finished(self) -> int:
        """Return the number of task runs that have ended."""
        return sum(count for state, count in self.by_state.items() if state in FINISHED)

    @property
    def running(self) -> int:
        """Return the number of task runs whose body is running."""
        return sum(count for state, count in self.by_state.items() if state in RUNNING)


class RunTable:
    """All task runs of one run. Not thread-safe."""

    def __init__(self, task_names: Sequence[str]) -> None:
        """Create a table of Pending tasks, in the order of the status."""
        self._entries: dict[str, TaskEntry] = {name: TaskEntry(name) for name in task_names}
        self._counts: dict[str, int] = {NOT_STARTED: len(self._entries)} if self._entries else {}
        self._failures = FailureTexts()
        self._due: dict[Key, tuple[float, str]] = {}
        self._due_heap: list[tuple[float, Key]] = []
        self._paused: dict[Key, None] = {}
        self._rendered: dict[str, Candidate] = {}

    def apply(self, records: Iterable[TaskRunRecord]) -> None:
        """Apply records, oldest first."""
        for record in records:
            self._apply_one(record)

    def close(self, state: str, now: float) -> None:
        """Set everything unfinished to `state`, because the run ends without its engine."""
        ended: list[TaskRunRecord] = []
        for entry in self._entries.values():
            indexes = [NOT_MAPPED] if entry.children is None else entry.children.unfinished()
            if entry.children is not None or entry.state not in FINISHED:
                ended += [
                    TaskRunRecord(entry.name, i, state, start_time=entry.start, end_time=now, run_count=entry.run_count)
                    for i in indexes
                ]
        self.apply(ended)

    def counts(self) -> RunCounts:
        """Return the counts by state, and the task runs that the run waits for."""
        by_state = {state: self._counts[state] for state in sorted(self._counts)}
        paused = tuple(full_name(key) for key, _ in zip(self._paused, range(5), strict=False))
        return RunCounts(by_state, self._next_due(), paused)

    def first_failure(self) -> str:
        """Return the first failure that is a cause, as `task: message`; empty if there is none."""
        return self._failures.first()

    def tasks_text(self, budget: int) -> str:
        """Return `status.tasks` in at most `budget` bytes of JSON."""
        for name, entry in self._entries.items():
            if name not in self._rendered:
                self._rendered[name] = render(entry, self._failures.get(name))
        chosen = fit(list(map(self._rendered.__getitem__, self._entries)), budget)
        return f"[{','.join(chosen)}]"

    def _apply_one(self, record: TaskRunRecord) -> None:
        entry = self._entries.get(record.task)
        if entry is None:
            # A flow whose graph is discovered during the run adds tasks later.
            entry = self._entries[record.task] = TaskEntry(record.task)
            self._count(NOT_STARTED, 1)
        if _is_late(entry, record):
            return
        self._rendered.pop(record.task, None)
        key = (record.task, record.map_index)
        self._note_wait(key, record)
        self._note_failure(record)
        if record.map_index == NOT_MAPPED:
            self._apply_task(entry, record)
        else:
            self._apply_child(entry, record)

    def _apply_task(self, entry: TaskEntry, record: TaskRunRecord) -> None:
        if entry.children is None:
            self._count(entry.state, -1)
        if record.state == MAPPED:
            self._expand(entry, record.map_size or 0)
        else:
            self._forget_children(entry)
            self._count(record.state, 1)
        entry.state = record.state
        entry.start, entry.end = record.start_time, record.end_time
        entry.run_count, entry.visit = record.run_count, record.visit

    def _apply_child(self, entry: TaskEntry, record: TaskRunRecord) -> None:
        if entry.children is None:
            self._count(entry.state, -1)
            entry.state = MAPPED
            # From now on its children wait and fail, not the task itself.
            self._due.pop((record.task, NOT_MAPPED), None)
            self._paused.pop((record.task, NOT_MAPPED), None)
            self._failures.discard(record.task, NOT_MAPPED)
        children = self._expand(entry, record.map_index + 1)
        old = children.set_state(record.map_index, record.state, record.visit)
        self._count(old, -1)
        self._count(record.state, 1)
        if record.end_time is not None:
            children.last_end = max(children.last_end or record.end_time, record.end_time)
        if entry.start is None:
            entry.start = record.start_time

    def _expand(self, entry: TaskEntry, total: int) -> Children:
        """Return the task's children, at least `total`. Children of an earlier, larger expansion are kept."""
        if entry.children is None:
            entry.children = Children(0)
        if added := entry.children.grow(total):
            self._count(NOT_STARTED, added)
        return entry.children

    def _forget_children(self, entry: TaskEntry) -> None:
        if entry.children is None:
            return
        for state, count in entry.children.counts().items():
            self._count(state, -count)
        if (failure := self._failures.get(entry.name)) and failure.map_index != NOT_MAPPED:
            self._failures.discard(entry.name, failure.map_index)
        for waits in (self._due, self._paused):
            for key in [key for key in waits if key[0] == entry.name and key[1] != NOT_MAPPED]:
                del waits[key]
        entry.children = None

    def _note_wait(self, key: Key, record: TaskRunRecord) -> None:
        self._due.pop(key, None)
        self._paused.pop(key, None)
        if record.state == "Paused":
            self._paused[key] = None
        elif record.due is not None and record.state not in FINISHED and record.state not in RUNNING:
            self._due[key] = (record.due, record.state)
            heapq.heappush(self._due_heap, (record.due, key))

    def _note_failure(self, record: TaskRunRecord) -> None:
        if record.state not in FAILURES:
            self._failures.discard(record.task, record.map_index)
            return
        displaced = self._failures.add(
            record.task, record.map_index, record.state, display_message(record), record.traceback
        )
        if displaced is not None:
            self._rendered.pop(displaced, None)

    def _next_due(self) -> Waiting | None:
        while self._due_heap:
            due, key = self._due_heap[0]
            current = self._due.get(key)
            if current is not None and current[0] == due:
                return Waiting(full_name(key), current[1], due)
            heapq.heappop(self._due_heap)
        return None

    def _count(self, state: str, change: int) -> None:
        count = self._counts.get(state, 0) + change
        if count:
            self._counts[state] = count
        else:
            self._counts.pop(state, None)


def display_message(record: TaskRunRecord | FlowRunRecord) -> str:
    """Return the message, preceded by the name of the State's class if it is a user's class."""
    return ": ".join(filter(None, (record.state_class, record.message)))


def _is_late(entry: TaskEntry, record: TaskRunRecord) -> bool:
    """Return whether a record is the start of a visit whose end is already known.

    Workers send starts and ends independently, so their order may change.
    """
    if record.state not in RUNNING or not record.visit:
        return False
    if record.map_index == NOT_MAPPED:
        return entry.state in ENDED_VISIT and record.visit <= entry.visit
    children = entry.children
    if children is None or record.map_index >= children.total:
        return False
    return children.state(record.map_index) in ENDED_VISIT and record.visit <= children.visit(record.map_index)


def full_name(key: Key) -> str:
    """Return the full name of a task run: `load`, or `load[3]`."""
    task, index = key
    return task if index == NOT_MAPPED else f"{task}[{index}]"
