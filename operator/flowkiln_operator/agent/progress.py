"""The progress of the run: written by the engine's thread, read by the reporter."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from flowkiln.states.kinds import FAILURES
from flowkiln.states.records import NOT_MAPPED, FlowRunRecord, TaskRunRecord
from flowkiln_operator.agent.projection.entry import compact_json
from flowkiln_operator.agent.projection.flow_status import RunSummary, current_summary
from flowkiln_operator.agent.projection.table import RunCounts, RunTable
from flowkiln_operator.status.closing import close_counts, close_tasks

logger = logging.getLogger("flowkiln.run")


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The run at one moment. `tasks` is `status.tasks` as JSON text."""

    summary: RunSummary
    counts: RunCounts
    tasks: str


class Source(Protocol):
    """The source of a reporter."""

    def snapshot(self, budget: int) -> Snapshot:
        """Return the current run, with its tasks in at most `budget` bytes."""


class Progress:
    """The engine's observer. It stores no results."""

    def __init__(self, task_names: Sequence[str], on_change: Callable[[], None]) -> None:
        """`on_change` is called from the engine's thread after every change, and must be quick."""
        self._table = RunTable(task_names)
        self._engine_state = "Running"
        self._on_change = on_change
        self._lock = threading.Lock()

    def on_task_runs(self, records: Sequence[TaskRunRecord]) -> None:
        """Handle State changes of task runs, oldest first."""
        with self._lock:
            self._table.apply(records)
            # The engine reports Paused when nothing can run; a record means that something runs again.
            self._engine_state = "Running"
        self._on_change()
        for record in records:
            _log(record)

    def on_flow_run(self, record: FlowRunRecord) -> None:
        """Handle a State change of the flow run. The caller of the engine reports its end."""
        with self._lock:
            self._engine_state = record.state
        self._on_change()

    def close(self, state: str) -> None:
        """Set everything unfinished to `state`, because no more records will come."""
        with self._lock:
            self._table.close(state, time.time())

    def first_failure(self) -> str:
        """Return the first failure, as `task: message`; empty if there is none."""
        with self._lock:
            return self._table.first_failure()

    def snapshot(self, budget: int) -> Snapshot:
        """Return the current run, with its tasks in at most `budget` bytes."""
        with self._lock:
            counts = self._table.counts()
            tasks = self._table.tasks_text(budget)
            summary = current_summary(counts, engine_state=self._engine_state)
        return Snapshot(summary, counts, tasks)


class ClosedRun:
    """The final report of a run whose engine is gone: the last reported tasks, all of them closed."""

    def __init__(self, summary: RunSummary, flow: Mapping[str, Any] | None, tasks: Sequence[Mapping[str, Any]]) -> None:
        self._summary = summary
        self._counts = RunCounts(close_counts((flow or {}).get("counts") or {}, "Crashed"), None, ())
        self._tasks = compact_json(close_tasks(tasks, "Crashed"))

    def snapshot(self, budget: int) -> Snapshot:
        """Return the final report. A status that fitted once fits again, unless the API server has become stricter."""
        fits = len(self._tasks.encode()) <= budget
        return Snapshot(self._summary, self._counts, self._tasks if fits else "[]")


def _log(record: TaskRunRecord) -> None:
    """Log the state of a task run; for mapped children only failures, because there may be very many."""
    is_child = record.map_index != NOT_MAPPED
    level = logging.WARNING if record.state in FAILURES else logging.DEBUG if is_child else logging.INFO
    if not logger.isEnabledFor(level):
        return
    facts = {"task": record.task, "map_index": record.map_index if is_child else None, "state": record.state}
    name = f"{record.task}[{record.map_index}]" if is_child else record.task
    message = f"{name}: {record.title}" + (f": {record.message}" if record.message else "")
    logger.log(level, "%s", message, extra={**facts, "run_count": record.run_count or None})
