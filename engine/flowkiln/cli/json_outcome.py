"""What `flowkiln run --json` prints: the shapes of its objects and how they are filled. `schemas/` is made of them."""

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
"""Grows when a field goes or changes its meaning; fields may be added without that."""


@dataclass(frozen=True, slots=True)
class FailureOutcome:
    """A task run that failed."""

    name: str
    """`load`, or `load[3]` for a mapped child."""
    state: str
    """The built-in State: Failed, TimedOut, TriggerFailed, ValidationFailed or Crashed."""
    state_class: str | None
    """The name of the State's own class where that is not a built-in one."""
    message: str
    """What went wrong."""
    traceback: str
    """The end of the traceback; empty where no code of the task raised."""
    run_count: int
    """How often the body ran."""


@dataclass(frozen=True, slots=True)
class TaskOutcome:
    """A task. Values, collections and indexes in a flow's code, which are tasks too, are listed only if they fail."""

    name: str
    """The task's local id, which is unique in the flow."""
    state: str
    """The built-in State; of a mapped task, what its children come to."""
    state_class: str | None
    """The name of the State's own class where that is not a built-in one."""
    message: str
    """What the State says."""
    run_count: int
    """How often the body ran: retries, and what ran again when a worker was lost. Of a mapped task, the most of a
    child."""
    start_time: str | None
    """When the first body began; null if none did."""
    end_time: str | None
    """When the last body ended; null if none did."""
    duration: float | None
    """Seconds between the two, waits for retries included."""
    children: dict[str, int] | None
    """How many children of a mapped task are in which State; null if the task is not mapped."""
    because_of: list[str]
    """The tasks that failed, or were skipped, so that this one did not run: at most four of them."""
    failures: list[FailureOutcome]
    """What failed of the task, at most 100 runs of it."""


@dataclass(frozen=True, slots=True)
class RunOutcome:
    """How a run went. Times are in UTC as RFC 3339 writes them, durations in seconds."""

    version: int
    """1. It grows when a field goes or changes its meaning; fields may be added without that."""
    flow: str
    """The flow's name."""
    run_id: str
    """The run's id, which the context of its tasks and its log have too."""
    state: str
    """The built-in State with which the run ended."""
    state_class: str | None
    """The name of the State's own class where that is not a built-in one."""
    message: str
    """What the State says."""
    start_time: str
    """When the run began."""
    end_time: str
    """When the run ended."""
    duration: float
    """Seconds between the two."""
    counts: dict[str, int]
    """How many task runs are in which State; children of a mapped task count one by one, the task itself does not."""
    tasks: list[TaskOutcome]
    """The tasks, each after those upstream of it."""
    results: dict[str, Any]
    """The results of those reference tasks that ended well, by name. At most 1,000 elements and 65,536 characters are
    given of one: a list that was cut ends with {"$more": <how many are left out>}, a mapping has that key. What JSON
    cannot say is given as its repr, at most 200 characters of it."""
    losses: dict[str, list[str]]
    """Which results are not given as they are, and why: `repr` if something in one is given as its repr, `cut` if
    something was left out, `unavailable` if it cannot leave the process in which the task ran: then why stands in its
    place."""


MAX_FAILURES = 100
"""How many failed runs of one task are listed."""


def run_outcome(
    name: str,
    run_id: str,
    flow: FlowRunRecord,
    times: tuple[float, float],
    progress: RunProgress,
    results: Mapping[str, State],
) -> RunOutcome:
    """Say how a run went. `times` are its start and end in seconds since the epoch, `results` of reference tasks."""
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
    """Return the outcome as the object that is printed, its fields in camelCase."""
    return asdict(outcome, dict_factory=lambda pairs: {camel_case(name): value for name, value in pairs})


def camel_case(name: str) -> str:
    """Return the name of a field as it stands in JSON."""
    first, *others = name.split("_")
    return first + "".join(word.capitalize() for word in others)


def _result(task: TaskProgress, state: State) -> JsonValue | None:
    """Say what came back of a task; None if there is nothing, for it has not ended well."""
    if state.is_successful():
        # What was skipped has the signal that said so for a result.
        is_nothing = isinstance(state.result, NoResultType | StateSignal)
        return to_json(None if is_nothing else state.result)
    if state.is_failed() and task.state not in FAILURES:
        # The task did end well, in another process.
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
