"""Build a `flowkiln.Flow` from a `FlowSpec`."""

from __future__ import annotations

import difflib
from typing import Any

from flowkiln.api.durations import parse_duration, parse_whole_seconds
from flowkiln.api.flow import FlowSpec, Retries, SecretKeyRef, TaskSpec
from flowkiln.common.exceptions import FlowLoadError
from flowkiln.core.flow import Flow
from flowkiln.core.signature import run_signature
from flowkiln.core.task import Parameter, Task
from flowkiln.core.values.function import FunctionTask
from flowkiln.loading.bound_function import BoundFunction
from flowkiln.loading.references import resolve, resolve_callable
from flowkiln.loading.triggers import build_trigger
from flowkiln.tasks.core.command import CommandTask


def build_flow(spec: FlowSpec, name: str) -> Flow:
    """Import the code of a valid spec and build the flow; its source files must be importable.

    The tasks have the names of the spec as names and slugs. A parameter that no input uses gets no task. Raise
    FlowLoadError with one sentence that names task, module and callable.
    """
    if spec.entrypoint is not None:
        return _entrypoint(spec.entrypoint)
    flow = Flow(name, state_handlers=[resolve_callable(path, "spec.stateHandlers") for path in spec.state_handlers])
    wanted = {given.parameter for task in spec.tasks for given in task.inputs}
    parameters = {
        parameter.name: Parameter(parameter.name, default=parameter.default, required=parameter.is_required)
        for parameter in spec.parameters
        if parameter.name in wanted
    }
    tasks = {task.name: _task(task) for task in spec.tasks}
    for node in [*parameters.values(), *tasks.values()]:
        flow.add_task(node)
    for task_spec in spec.tasks:
        task = tasks[task_spec.name]
        for given in task_spec.inputs:
            if given.parameter is not None:
                flow.add_edge(parameters[given.parameter], task, key=given.name, validate=False)
            elif given.task is not None:
                flow.add_edge(tasks[given.task], task, key=given.name, mapped=given.map, validate=False)
        for upstream in task_spec.after:
            flow.add_edge(tasks[upstream], task, validate=False)
    if spec.reference_tasks:
        flow.set_reference_tasks([tasks[reference] for reference in spec.reference_tasks])
    flow.validate()
    return flow


def _entrypoint(path: str) -> Flow:
    found = resolve(path, "spec.entrypoint")
    if not isinstance(found, Flow):
        raise FlowLoadError(f"spec.entrypoint: {path!r} is {type(found).__name__}, not a flowkiln.Flow; name the flow")
    return found


def _task(spec: TaskSpec) -> Task:
    owner = f"task {spec.name!r}"
    settings = {"name": spec.name, "slug": spec.name, **_settings(spec, owner)}
    task: Task
    if spec.command is not None:
        task = CommandTask(list(spec.command), **settings)
    else:
        assert spec.function is not None, "a valid task has a function or a command"  # noqa: S101
        task = _function_task(spec.function, owner, settings)
    if spec.description is not None:
        task.description = spec.description
    constants: dict[str, Any] = {}
    secrets: dict[str, SecretKeyRef] = {}
    for given in spec.inputs:
        if given.value_from is not None:
            secrets[given.name] = given.value_from.secret_key_ref
        elif given.parameter is None and given.task is None:
            constants[given.name] = given.value
    _check_arguments(task, spec, owner)
    if constants or secrets:
        task.run = BoundFunction(task.run, constants, secrets)
    return task


def _function_task(reference: str, owner: str, settings: dict[str, Any]) -> Task:
    """Make a task from a function, a Task class, or a Task object, whose settings are the defaults of the spec."""
    found = resolve_callable(reference, owner)
    try:
        if isinstance(found, type) and issubclass(found, Task):
            found = found()
        if isinstance(found, Task):
            return found.copy(**settings)
        return FunctionTask(found, **settings)
    except Exception as error:
        raise FlowLoadError(f"{owner}: {reference!r} cannot be made a task: {error}") from error


def _settings(spec: TaskSpec, owner: str) -> dict[str, Any]:
    """Return the arguments of Task that the spec sets."""
    settings: dict[str, Any] = {}
    if spec.retries is not None:
        settings |= _retry_settings(spec.retries)
    if spec.timeout is not None:
        settings["timeout"] = parse_whole_seconds(spec.timeout)
    if "trigger" in spec.model_fields_set:
        settings["trigger"] = build_trigger(spec.trigger, owner)
    if spec.tags:
        settings["tags"] = set(spec.tags)
    if spec.state_handlers:
        settings["state_handlers"] = [resolve_callable(path, f"{owner}, stateHandlers") for path in spec.state_handlers]
    if "skip_on_upstream_skip" in spec.model_fields_set:
        settings["skip_on_upstream_skip"] = spec.skip_on_upstream_skip
    return settings


def _retry_settings(retries: Retries) -> dict[str, Any]:
    return {
        "max_retries": retries.max,
        "retry_delay": parse_duration(retries.delay),
        "retry_backoff": float(retries.backoff_factor),
        "retry_max_delay": None if retries.max_delay is None else parse_duration(retries.max_delay),
        "retry_jitter": retries.jitter_percent / 100,
    }


def _check_arguments(task: Task, spec: TaskSpec, owner: str) -> None:
    """Compare the inputs of the spec with the signature of the callable; raise FlowLoadError if they differ."""
    called = repr(spec.function) if spec.function is not None else "the command"
    taken = run_signature(task.run)
    parameters = taken.signature.parameters
    by_name = {
        name: parameter
        for name, parameter in parameters.items()
        if parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
    }
    given = [one.name for one in spec.inputs]
    for name in given:
        if not taken.accepts(name):
            close = difflib.get_close_matches(name, by_name, n=1)
            hint = f"did you mean {close[0]!r}?" if close else f"it takes {', '.join(by_name) or 'no arguments'}"
            raise FlowLoadError(f"{owner}: {called} takes no argument {name!r}; {hint}")
    for name, parameter in by_name.items():
        if parameter.default is parameter.empty and name not in given:
            raise FlowLoadError(f"{owner}: {called} needs the argument {name!r}; add an input of that name")
