"""Prepare a flow for the driver and the workers: the graph of node numbers, and the run's environment."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from flowkiln.core.local_ids import local_ids
from flowkiln.engine.bodies.timeouts import call_in_time
from flowkiln.engine.driver import InEdge, Node, RunGraph
from flowkiln.engine.environment import RunEnvironment, TaskEntry
from flowkiln.engine.runner import StateHandler

if TYPE_CHECKING:
    from flowkiln.core.edge import Edge
    from flowkiln.core.flow import Flow
    from flowkiln.core.task import Task
    from flowkiln.engine.executors.base import Executor
    from flowkiln.engine.task_runner import TaskRunner


@dataclass(frozen=True, slots=True)
class Prepared:
    """A prepared flow: its tasks in topological order, numbered by position."""

    tasks: tuple[Task, ...]
    numbers: Mapping[Task, int]
    edges: tuple[tuple[Edge, ...], ...]
    graph: RunGraph


def prepare(flow: Flow, start_tasks: Collection[Task] | None = None) -> Prepared:
    """Return the driver's graph of a flow. Raise ValueError if the flow is invalid."""
    flow.validate()
    tasks = tuple(flow.sorted_tasks())
    numbers = {task: number for number, task in enumerate(tasks)}
    ids = local_ids(flow)
    edges = [
        tuple(sorted(flow.edges_to(task), key=lambda e: (numbers[e.upstream_task], e.key or ""))) for task in tasks
    ]
    downstream: list[dict[int, None]] = [{} for _ in tasks]
    mapped_over, flattened_over = set(), set()
    for number, incoming in enumerate(edges):
        for edge in incoming:
            upstream = numbers[edge.upstream_task]
            downstream[upstream][number] = None
            if edge.mapped:
                mapped_over.add(upstream)
            if edge.mapped and edge.flattened:
                flattened_over.add(upstream)
    starts = None if not start_tasks else {numbers[task] for task in start_tasks}
    visited = set(range(len(tasks))) if starts is None else _reachable(starts, downstream)
    levels: list[int] = []
    for incoming in edges:
        levels.append(1 + max((levels[numbers[edge.upstream_task]] for edge in incoming), default=-1))
    nodes = tuple(
        Node(
            ids[task],
            tuple(InEdge(numbers[e.upstream_task], e.key, e.mapped, e.flattened) for e in edges[number]),
            tuple(downstream[number]),
            mapped_over=number in mapped_over,
            flattened_over=number in flattened_over,
            visited=number in visited,
            is_start=starts is not None and number in starts,
            level=levels[number],
        )
        for number, task in enumerate(tasks)
    )
    return Prepared(tasks, numbers, tuple(edges), RunGraph(nodes))


def make_environment(
    prepared: Prepared,
    run_id: str,
    context: Mapping[str, Any],
    task_contexts: Mapping[Task, Mapping[str, Any]],
    task_runner_cls: type[TaskRunner],
    state_handlers: Sequence[StateHandler] | None,
    result_handler: Any,
    timeout_handler: Callable[..., Any] | None = None,
) -> RunEnvironment:
    """Return the environment for the processes that execute units of the run."""
    entries = tuple(
        TaskEntry(
            task,
            node.local_id,
            prepared.edges[number],
            task_contexts.get(task, {}),
            count_elements=node.mapped_over,
            count_inner=node.flattened_over,
            is_start=node.is_start,
        )
        for number, (task, node) in enumerate(zip(prepared.tasks, prepared.graph.nodes, strict=True))
    )
    return RunEnvironment(
        run_id, entries, dict(context), task_runner_cls, state_handlers, result_handler, timeout_handler
    )


def own_timeout_handler(executor: Executor) -> Callable[..., Any] | None:
    """Return the executor's own timeout handler; None if it has the default one."""
    handler: Callable[..., Any] = executor.timeout_handler
    return None if handler is call_in_time else handler


def _reachable(starts: Collection[int], downstream: Sequence[Mapping[int, None]]) -> set[int]:
    seen, todo = set(starts), list(starts)
    while todo:
        for number in downstream[todo.pop()]:
            if number not in seen:
                seen.add(number)
                todo.append(number)
    return seen
