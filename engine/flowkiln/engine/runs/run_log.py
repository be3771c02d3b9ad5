"""What `Flow.run` logs of a run. The levels are those of Python's logging."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from flowkiln.common.logging import get_logger
from flowkiln.core.local_ids import local_ids
from flowkiln.states.kinds import ROOT_FAILURES
from flowkiln.states.records import NOT_MAPPED, FlowRunRecord, TaskRunRecord, record_of_flow
from flowkiln.states.state import State

if TYPE_CHECKING:
    import datetime as dt

    from flowkiln.core.flow import Flow

_LEVELS = {
    **dict.fromkeys(ROOT_FAILURES, logging.ERROR),
    "TriggerFailed": logging.WARNING,
    "Retrying": logging.WARNING,
    "Cancelled": logging.WARNING,
    "Submitted": logging.DEBUG,
    "Queued": logging.DEBUG,
    "Pending": logging.DEBUG,
}
_USUAL = frozenset({"Running", "Success", "Cached", "Submitted", "Queued", "Pending"})
"""States that are told at DEBUG of children of mapped tasks, and of tasks that nobody wrote."""


class RunLog:
    """An Observer that logs the changes of State of a run."""

    def __init__(self, flow: Flow) -> None:
        self._flow = flow
        self._flow_logger, self._task_logger = get_logger("FlowRunner"), get_logger("TaskRunner")
        self._least = self._task_logger.getEffectiveLevel()
        self._implicit = frozenset(name for task, name in local_ids(flow).items() if task.is_implicit)

    def waits(self, moment: dt.datetime, seconds: float) -> None:
        """Log when the next run starts, unless it is now."""
        if seconds >= 1:
            self._flow_logger.info(
                "Flow %r: waiting for the next scheduled run at %s, in %.0f s.", self._flow.name, moment, seconds
            )

    def starts(self) -> None:
        """Log that a run starts."""
        self._flow_logger.info("Flow %r: starting the flow run.", self._flow.name)

    def ended(self, state: State) -> None:
        """Log what a run came to."""
        record = record_of_flow(state)
        is_over = state.is_finished()
        self._flow_logger.log(
            logging.ERROR if state.is_failed() else logging.INFO,
            "Flow %r: %s %s%s",
            self._flow.name,
            "the flow run ended as" if is_over else "nothing can go on by itself; the flow run is",
            record.title,
            f": {record.message}" if record.message else "",
        )

    def on_task_runs(self, records: Sequence[TaskRunRecord]) -> None:
        """Log changes of State of task runs."""
        for record in records:
            level = _LEVELS.get(record.state, logging.INFO)
            if record.state in _USUAL and (record.map_index != NOT_MAPPED or record.task in self._implicit):
                level = logging.DEBUG
            if level >= self._least:
                self._task_logger.log(level, "%s", _described(record), extra=_facts(record))

    def on_flow_run(self, record: FlowRunRecord) -> None:
        """Log that a run is paused; beginning and end are told by whom they are known to."""
        if record.state == "Paused":
            self._flow_logger.info("Flow %r: %s.", self._flow.name, record.message or "paused")


def _described(record: TaskRunRecord) -> str:
    index = "" if record.map_index == NOT_MAPPED else f"[{record.map_index}]"
    return f"Task '{record.task}{index}': {_event(record)}"


def _event(record: TaskRunRecord) -> str:
    message = f": {record.message}" if record.message else ""
    match record.state:
        case "Running":
            return "starting the task run" + (f", attempt {record.run_count}." if record.run_count > 1 else ".")
        case "Mapped":
            return f"mapped over {record.map_size} elements."
        case "Retrying" | "Scheduled":
            due = "" if record.due is None else f", again in {max(0.0, record.due - time.time()):.0f} s"
            return f"{record.title}{due}{message}"
        case "Success" | "Cached":
            return f"the task run ended as {record.title}."
        case state if state in ROOT_FAILURES:
            traceback = f"\n{record.traceback.rstrip()}" if record.traceback else ""
            return f"the task run ended as {record.title}{message}{traceback}"
        case _:
            return f"{record.title}{message}"


def _facts(record: TaskRunRecord) -> dict[str, object]:
    return {
        "task": record.task,
        "map_index": None if record.map_index == NOT_MAPPED else record.map_index,
        "run_count": record.run_count,
        "state": record.state,
    }
