"""Handle runs with objects that cannot be sent to worker processes: their tasks fail with an explanation."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from flowkiln.common.exceptions import SerializationError
from flowkiln.core.edge import Edge
from flowkiln.core.task import Task
from flowkiln.engine.environment import RunEnvironment, TaskEntry
from flowkiln.engine.serialization.unpicklable import is_picklable, type_of, unpicklable_part
from flowkiln.states.signals import ENDRUN
from flowkiln.states.state import Failed

_ADVICE = "Open it inside the body of the task that uses it."


class StandIn(Task):
    """Replaces a task that cannot be sent: it fails where the task would run.

    It has the trigger and state handlers of the task, if they can be sent.
    """

    def __init__(self, task: Task, reason: str) -> None:
        super().__init__(
            name=task.name,
            slug=task.slug,
            tags=task.tags,
            trigger=task.trigger if is_picklable(task.trigger) else _Refusal(reason),
            skip_on_upstream_skip=task.skip_on_upstream_skip,
            state_handlers=[handler for handler in task.state_handlers if is_picklable(handler)],
        )
        self.id = task.id
        self.takes_skipped_results = task.takes_skipped_results
        self.run = _Refusal(reason)


class _Refusal:
    """Ends a task run as Failed, without retries, for any arguments."""

    def __init__(self, reason: str) -> None:
        self.reason = reason

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        raise ENDRUN(Failed(self.reason, result=SerializationError(self.reason)))


def sendable_environment(environment: RunEnvironment) -> RunEnvironment:
    """Return an environment with stand-ins for the tasks that cannot be sent.

    Raise SerializationError if another part cannot be sent: a parameter, a value of the context.
    """
    for part, value in _parts_of_run(environment):
        if not is_picklable(value):
            raise SerializationError(f"{_reason(f'The {part}', value)} {_ADVICE}")
    stand_ins: dict[int, Task] = {}
    entries = []
    for entry in environment.entries:
        if not is_picklable((entry.task, entry.context)):
            reason = _reason_of_task(entry)
            stand_ins[id(entry.task)] = StandIn(entry.task, reason)
            keys = [key for key, value in entry.context.items() if is_picklable(value)]
            entry = replace(entry, context={key: entry.context[key] for key in keys})
        entries.append(entry)
    return replace(environment, entries=tuple(_with_stand_ins(entry, stand_ins) for entry in entries))


def _with_stand_ins(entry: TaskEntry, stand_ins: dict[int, Task]) -> TaskEntry:
    def instead(task: Any) -> Any:
        return stand_ins.get(id(task), task)

    edges = tuple(
        Edge(instead(edge.upstream_task), instead(edge.downstream_task), edge.key, edge.mapped, edge.flattened)
        for edge in entry.edges
    )
    return replace(entry, task=instead(entry.task), edges=edges)


def _parts_of_run(environment: RunEnvironment) -> Iterator[tuple[str, Any]]:
    for name, value in environment.context.items():
        if name == "parameters" and isinstance(value, dict):
            yield from ((f"parameter {key!r}", one) for key, one in value.items())
        else:
            yield f"context value {name!r}", value
    yield "class of the task runner", environment.task_runner_cls
    for number, handler in enumerate(environment.state_handlers or ()):
        yield f"state handler {_name_of(handler, number)} of the task runner", handler
    yield "result handler of the flow", environment.result_handler
    yield "timeout handler of the executor", environment.timeout_handler


def _reason_of_task(entry: TaskEntry) -> str:
    head = f"Task {entry.task.name!r} cannot be sent to a worker process:"
    for part, value in _parts_of_task(entry):
        if not is_picklable(value):
            return f"{head} {_reason(f'its {part}', value)} {_ADVICE}"
    return f"{head} {_reason('it', entry.task)} {_ADVICE}"


def _parts_of_task(entry: TaskEntry) -> Iterator[tuple[str, Any]]:
    attributes = dict(vars(entry.task))
    if "run" in attributes:
        yield "function", attributes.pop("run")
    for name in ("trigger", "cache_validator", "retry_delay", "retry_on", "result_handler"):
        yield name.replace("_", " "), attributes.pop(name, None)
    for number, handler in enumerate(attributes.pop("state_handlers", ())):
        yield f"state handler {_name_of(handler, number)}", handler
    yield from ((f"attribute {name!r}", value) for name, value in attributes.items())
    yield from ((f"context value {name!r}", value) for name, value in entry.context.items())
    yield f"class {type(entry.task).__qualname__}", type(entry.task)


def _name_of(handler: Any, number: int) -> str:
    return repr(getattr(handler, "__name__", number))


def _reason(part: str, value: Any) -> str:
    where = unpicklable_part(value)
    if where is None:
        return f"{part} is {type_of(value)}, which cannot be pickled."
    return f"{part} cannot be pickled, for {where}."
