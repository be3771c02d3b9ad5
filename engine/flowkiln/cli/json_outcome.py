"""The output of `flowkiln run --json`. The schema in `schemas/` is generated from these classes."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from flowkiln.cli.json_values import JsonValue, Loss, to_json
from flowkiln.cli.progress import RunProgress, TaskProgress, full_name
from flowkiln.cli.root_causes import root_causes
from flowkiln.common.safe_text import safe_str
from flowkiln.states.kinds import FAILURES
from flowkiln.states.records import FlowRunRecord, TaskRunRecord
from flowkiln.states.result import NoResultType
from flowkiln.states.signals import StateSignal
from flowkiln.states.state import State

VERSION = 1
"""Incremented when a field is removed or changes its meaning; fields may be added without an increment."""


@dataclass(frozen=True, slots=True)
class FailureOutcome:
    """A task run that failed."""

    name: str
    """`load`, or `load[3]` for a mapped child."""
    state: str
    """The built-in State: Failed, TimedOut, TriggerFailed, ValidationFailed or Crashed."""
    state_class: str | None
    """The name of the State's class if it is not built in."""
    message: str
    """The error message."""
    traceback: str
    """The end of the traceback; empty if no code of the task raised."""
    run_count: int
    """The number of attempts."""


@dataclass(frozen=True, slots=True)
class TaskOutcome:
    """A task. Values, collections and indexes in a flow's code are tasks too, but listed only if they fail."""

    name: str
    """The task's local id, which is unique in the flow."""
    state: str
    """The built-in State; for a mapped task, the combined State of its children."""
    state_class: str | None
    """The name of the State's class if it is not built in."""
    message: str
    """The message of the State."""
    run_count: int
    """The number of attempts: the first one, retries, and reruns after a worker was lost. For a mapped task, the
    maximum of its children."""
    start_time: str | None
    """When the first body started; null if none did."""
    end_time: str | None
    """When the last body ended; null if none did."""
    duration: float | None
    """Seconds between start and end, waits for retries included."""
    children: dict[str, int] | None
    """The number of children in each State; null if the task is not mapped."""
    because_of: list[str]
    """The failed or skipped tasks because of which this one did not run; at most four."""
    failures: list[FailureOutcome]
    """The failed runs of the task; at most 100."""


@dataclass(frozen=True, slots=True)
class RunOutcome:
    """The outcome of a run. Times are RFC 3339 in UTC, durations are in seconds."""

    version: int
    """1. It is incremented when a field is removed or changes its meaning; fields may be added without an increment."""
    flow: str
    """The flow's name."""
    run_id: str
    """The run's id, which is also in the context of its tasks and in its log."""
    state: str
    """The built-in State with which the run ended."""
    state_class: str | None
    """The name of the State's class if it is not built in."""
    message: str
    """The message of the State."""
    start_time: str
    """When the run started."""
    end_time: str
    """When the run ended."""
    duration: float
    """Seconds between start and end."""
    counts: dict[str, int]
    """The number of task runs in each State; children of a mapped task count individually, the task itself does not."""
    tasks: list[TaskOutcome]
    """The tasks, each after its upstream tasks."""
    results: dict[str, Any]
    """The results of the reference tasks that succeeded, by name. Each is limited to 1,000 elements and 65,536
    characters: a list that was cut ends with {"$more": <number of omitted elements>}, a mapping has that key. A value
    that JSON cannot represent is shown as its repr, at most 200 characters."""
    losses: dict[str, list[str]]
    """The results that are not shown in full, and why: `repr` if a part is shown as its repr, `cut` if a part was
    omitted, `unavailable` if the result cannot leave the process of the task; its place then has the reason."""


MAX_FAILURES = 100
"""Maximum number of failed runs listed for one task."""


def run_outcome(
    name: str,
    run_id: str,
    flow: FlowRunRecord,
    times: tuple[float, float],
    progress: RunProgress,
    results: Mapping[str, State],
) -> RunOutcome:
    """Return the outcome of a run; `times` are start and end since the epoch, `results` those of reference tasks."""
    (started, ended), because = times, root_causes(progress.tasks)
    given = {task: _result(progress.tasks[task], state) for task, state in results.items()}
    values = {task: value for task, value in given.items() if value is not None}
    return RunOutcome(
        version=VERSION,
        flow=name,
        run_id=run_id,
        state=flow.state,
        state_class=flow.state_class or None,
        message=flow.message,
        start_time=_timestamp(started),
        end_time=_timestamp(ended),
        duration=_seconds(ended - started),
        counts=dict(progress.counts()),
        tasks=[_task(task, because.get(task.name, ())) for task in progress.shown()],
        results={task: value.value for task, value in values.items()},
        losses={task: sorted(value.losses) for task, value in values.items() if value.losses},
    )


def document(outcome: RunOutcome) -> dict[str, Any]:
    """Return the outcome as the printed object, with camelCase fields."""
    return asdict(outcome, dict_factory=lambda pairs: {camel_case(name): value for name, value in pairs})


def camel_case(name: str) -> str:
    """Return the name of a field in JSON."""
    first, *others = name.split("_")
    return first + "".join(word.capitalize() for word in others)


def _result(task: TaskProgress, state: State) -> JsonValue | None:
    """Return the result of a task; None if it has not succeeded."""
    if state.is_successful():
        # The result of a skipped task is the signal that skipped it.
        is_nothing = isinstance(state.result, NoResultType | StateSignal)
        return to_json(None if is_nothing else state.result)
    if state.is_failed() and task.state not in FAILURES:
        # The task succeeded in another process.
        reason = to_json(safe_str(state.message))
        return JsonValue(reason.value, reason.losses | {Loss.UNAVAILABLE})
    return None


def _task(task: TaskProgress, because: Sequence[str]) -> TaskOutcome:
    return TaskOutcome(
        name=task.name,
        state=task.state,
        state_class=None if task.is_mapped else task.record.state_class or None,
        message=task.record.message,
        run_count=task.attempts,
        start_time=None if task.first_start is None else _timestamp(task.first_start),
        end_time=None if task.seconds is None or task.last_end is None else _timestamp(task.last_end),
        duration=None if task.seconds is None else _seconds(task.seconds),
        children=dict(+task.counts) if task.is_mapped else None,
        because_of=list(because),
        failures=[_failure(task, record) for record in task.failures()[:MAX_FAILURES]],
    )


def _failure(task: TaskProgress, record: TaskRunRecord) -> FailureOutcome:
    return FailureOutcome(
        name=full_name(record),
        state=record.state,
        state_class=record.state_class or None,
        message=record.message,
        traceback=record.traceback,
        run_count=task.attempts_of(record),
    )


def _timestamp(seconds: float) -> str:
    return dt.datetime.fromtimestamp(seconds, dt.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _seconds(seconds: float) -> float:
    return round(max(0.0, seconds), 3)
