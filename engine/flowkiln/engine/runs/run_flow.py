"""`Flow.run`: from the first start time to the end, again and again if there is a schedule."""

from __future__ import annotations

import copy
import datetime as dt
import inspect
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from flowkiln.common.configuration import configured
from flowkiln.common.context import context as run_context
from flowkiln.common.logging import configure_logging
from flowkiln.core import arguments
from flowkiln.engine.executors.base import Executor
from flowkiln.engine.flow_runner import FlowRunner, RunRequest, default_executor
from flowkiln.engine.run_loop import LoopOptions
from flowkiln.engine.runs.run_log import RunLog
from flowkiln.states.state import Mapped, Pending, Scheduled, State, utc_now

if TYPE_CHECKING:
    from flowkiln.core.flow import Flow
    from flowkiln.core.task import Task


def run_flow(
    flow: Flow, parameters: Mapping[str, Any] | None = None, runner_cls: type[FlowRunner] | None = None, **kwargs: Any
) -> State:
    """Run a flow until it is finished, or nothing in it can go on by itself, and give its state.

    What happens is logged: to standard error in a program that sets up no logging of its own (docs/logging.md).
    Keywords that name a parameter are parameters; the others go to the runner. Raises ValueError for parameters that
    are unknown or missing, TypeError for other unknown keywords and for arguments of another kind than they are to be.
    """
    if "return_tasks" in kwargs:
        raise ValueError("The `return_tasks` keyword cannot be provided to Flow.run: all tasks are returned.")
    values, kwargs = _split(flow, dict(arguments.by_name("parameters", parameters)), kwargs)
    if kwargs.get("start_tasks") is not None:
        # An iterator would be empty at the second look.
        kwargs["start_tasks"] = list(arguments.several("start_tasks", kwargs["start_tasks"]))
    runner_cls = runner_cls or configured("engine.flow_runner.default_class", "flowkiln.engine.flow_runner.FlowRunner")
    _check_keywords(runner_cls, kwargs)
    _check_kinds(kwargs)
    state = kwargs.pop("state", None)
    task_states = dict(kwargs.pop("task_states", None) or {})
    if isinstance(getattr(state, "result", None), dict):
        task_states = {**state.result, **task_states}
    start = _first_start(flow)
    configure_logging()
    log = RunLog(flow)
    while True:
        given = Scheduled(start_time=start, result={}) if state is None else state
        planned = given.start_time if isinstance(given, Scheduled) else None
        if planned is not None:
            log.waits(planned, (planned - utc_now()).total_seconds())
        _sleep_until(planned)
        log.starts()
        final = _run_once(flow, runner_cls, given, values, task_states, _with_times(kwargs, planned or start), log)
        log.ended(final)
        if not isinstance(final.result, dict) or not final.is_finished() or flow.schedule is None:
            return final
        following = flow.schedule.next(1)
        if not following:
            return final
        start, state, task_states = following[0], None, {}


def _split(flow: Flow, parameters: dict[str, Any], kwargs: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    names = {task.name: task for task in flow.parameters()}
    values = {**parameters, **{name: value for name, value in kwargs.items() if name in names}}
    unknown = sorted(set(values) - set(names))
    if unknown:
        raise ValueError(f"Flow {flow.name!r} has no parameter {', '.join(map(repr, unknown))}.")
    missing = sorted(name for name, task in names.items() if task.required and name not in values)
    if missing:
        raise ValueError(f"Flow {flow.name!r} needs a value for parameter {', '.join(map(repr, missing))}.")
    return values, {name: value for name, value in kwargs.items() if name not in names}


def _check_keywords(runner_cls: type[FlowRunner], kwargs: Mapping[str, Any]) -> None:
    known = inspect.signature(runner_cls.run).parameters
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in known.values()):
        return
    unknown = sorted(set(kwargs) - set(known))
    if unknown:
        raise TypeError(f"Flow.run got unexpected keywords: {', '.join(unknown)}")


def _check_kinds(kwargs: Mapping[str, Any]) -> None:
    """Check what the runner would only find out about in the middle of the run."""
    executor, state = kwargs.get("executor"), kwargs.get("state")
    if executor is not None and not isinstance(executor, Executor):
        example = f"{executor.__name__}()" if isinstance(executor, type) else "LocalExecutor()"
        raise TypeError(f"executor must be an Executor, such as {example}, not {executor!r}.")
    if state is not None and not isinstance(state, State):
        raise TypeError(f"state must be a State, such as Scheduled(), not {state!r}.")
    for name in ("context", "task_states", "task_contexts"):
        arguments.by_name(name, kwargs.get(name))


def _first_start(flow: Flow) -> dt.datetime:
    if flow.schedule is None:
        return utc_now()
    following = flow.schedule.next(1)
    if not following:
        raise ValueError(f"Flow {flow.name!r} has no more scheduled runs.")
    return following[0]


def _with_times(kwargs: dict[str, Any], start: dt.datetime) -> dict[str, Any]:
    """Fix the times of one run, which all its passes share; what the user put into the context stands."""
    times = {"scheduled_start_time": start, "date": utc_now()}
    ours = {key: time for key, time in times.items() if key not in run_context}
    return {**kwargs, "context": {**ours, **(kwargs.get("context") or {})}}


def _sleep_until(moment: dt.datetime | None) -> None:
    if moment is not None:
        time.sleep(max(0.0, (moment - utc_now()).total_seconds()))


def _run_once(
    flow: Flow,
    runner_cls: type[FlowRunner],
    state: State,
    parameters: dict[str, Any],
    task_states: Mapping[Task, State],
    kwargs: dict[str, Any],
    log: RunLog,
) -> State:
    if state.is_finished():
        state = copy.copy(state)
        state.result = {}
    elif runner_cls is FlowRunner:
        request = RunRequest(
            task_states=dict(task_states),
            return_tasks=tuple(flow.tasks),
            parameters=parameters,
            task_runner_state_handlers=kwargs.get("task_runner_state_handlers"),
            executor=default_executor() if kwargs.get("executor") is None else kwargs["executor"],
            context=kwargs["context"],
            task_contexts=dict(kwargs.get("task_contexts") or {}),
            start_tasks=kwargs.get("start_tasks"),
            options=LoopOptions(),
            observer=log,
        )
        state = runner_cls(flow=flow).carry_out(state, request)
    else:
        state = _make_passes(flow, runner_cls, state, parameters, task_states, kwargs, log)
    if isinstance(state.result, dict):
        state.result = {task: state.result.get(task, Pending("Task not run.")) for task in flow.get_tasks()}
    return state


def _make_passes(
    flow: Flow,
    runner_cls: type[FlowRunner],
    state: State,
    parameters: dict[str, Any],
    task_states: Mapping[Task, State],
    kwargs: dict[str, Any],
    log: RunLog,
) -> State:
    """Run passes of a runner class of the user's until the flow is finished or a pass changed nothing."""
    states: dict[Task, State] = dict(task_states)
    settled: set[Task] = set()
    while True:
        runner = runner_cls(flow=flow)
        runner.settled_tasks = frozenset(settled)
        runner.observer = log
        state = runner.run(
            state=state, task_states=states, return_tasks=flow.get_tasks(), parameters=parameters, **kwargs
        )
        if state.is_finished() or not isinstance(state.result, dict):
            return state
        before, states = states, {**states, **state.result}
        settled.update(task for task, reached in states.items() if reached is not before.get(task))
        due = [moment for task_state in states.values() for moment in _start_times(task_state)]
        if _same(before, states):
            # What is due already did not start: only what is still to come can change anything.
            now = utc_now()
            due = [moment for moment in due if moment > now]
            if not due:
                return state
        if due:
            _sleep_until(min(due))


def _start_times(state: State) -> list[dt.datetime]:
    if isinstance(state, Mapped):
        return [moment for child in state.map_states if child is not None for moment in _start_times(child)]
    return [state.start_time] if isinstance(state, Scheduled) else []


def _same(before: Mapping[Task, State], after: Mapping[Task, State]) -> bool:
    return before.keys() == after.keys() and all(_unchanged(before[task], after[task]) for task in after)


def _unchanged(before: State | None, after: State | None) -> bool:
    if isinstance(before, Mapped) and isinstance(after, Mapped):
        # Each pass makes a new Mapped state; its children tell whether anything happened.
        return len(before.map_states) == len(after.map_states) and all(
            map(_unchanged, before.map_states, after.map_states)
        )
    # A new Scheduled state may differ in its times only; any other that is equal says that nothing was achieved.
    return before is after or (not isinstance(after, Scheduled) and before == after)
