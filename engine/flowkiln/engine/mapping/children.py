"""Run the children of a mapped task when a TaskRunner is used alone.

In a flow run the driver expands maps; this is for `TaskRunner.run` called alone with mapped edges.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from flowkiln.common.context import context as run_context
from flowkiln.engine.mapping import parts
from flowkiln.engine.mapping.elements import NoElements, counted
from flowkiln.states.result import NoResultType
from flowkiln.states.state import Mapped, Pending, State

if TYPE_CHECKING:
    from flowkiln.core.edge import Edge


class RunsTask(Protocol):
    """Runs one task; a TaskRunner does."""

    def run(self, *, state: State | None, upstream_states: Mapping[Edge, State], context: Mapping[str, Any]) -> State:
        """Run the task from `state` as far as possible now."""


class Submits(Protocol):
    """Makes calls somewhere; an Executor does."""

    def submit(self, fn: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Schedule one call and return something that `wait` resolves."""

    def wait(self, futures: Any) -> Any:
        """Resolve futures."""


@dataclass(frozen=True, slots=True)
class Child:
    """One child: its index, the state it starts from, and the upstream states it sees."""

    index: int
    state: State | None
    upstream_states: dict[Edge, State]


def children_of(state: State, upstream_states: Mapping[Edge, State]) -> list[Child] | str:
    """Return the children of a mapped parent, or a sentence that names the argument that cannot be mapped."""
    before = state.map_states if isinstance(state, Mapped) else []
    picked: dict[Edge, Callable[[int], State]] = {}
    counts: list[int] = []
    for edge, upstream in upstream_states.items():
        if not edge.mapped:
            picked[edge] = _whole(upstream)
            continue
        count, picked[edge] = _elements(edge, upstream)
        if count is not None:
            counts.append(count)
        elif not before:
            return unmappable(edge, upstream)
    total = min(counts) if counts else len(before)
    return [
        Child(
            index,
            before[index] if index < len(before) else None,
            {edge: picked[edge](index) for edge in upstream_states},
        )
        for index in range(total)
    ]


def unmappable(edge: Edge, upstream: State) -> str:
    """Return a sentence with the argument that cannot be mapped over, its type, and the expression to write instead."""
    what = f"argument {edge.key!r}" if edge.key else "an upstream task without argument"
    value = parts.reduced(upstream).result
    if isinstance(value, NoResultType):
        return f"Nothing to map over: {what} is of type {type(upstream).__name__}, which has no elements by index."
    if upstream.is_failed():
        return f"Nothing to map over: {what} is of type {type(value).__name__}, the result of a task that failed."
    try:
        counted(value)
        if edge.flattened:
            parts.flattened(upstream)
    except NoElements as reason:
        return f"Nothing to map over: {what} {reason}."
    return f"Nothing to map over: {what} has elements that cannot be taken."


def _whole(upstream: State) -> Callable[[int], State]:
    whole = parts.reduced(upstream)
    return lambda _index: whole


def _elements(edge: Edge, upstream: State) -> tuple[int | None, Callable[[int], State]]:
    """Return the number of elements of an upstream state, and a function that picks a child's element."""
    if edge.flattened:
        flat = parts.flat_elements(upstream)
        return (None, _whole(upstream)) if flat is None else (len(flat), flat.__getitem__)
    if isinstance(upstream, Mapped) and upstream.map_states:
        return len(upstream.map_states), lambda index: upstream.map_states[index] or Pending("Never started.")
    whole = parts.reduced(upstream)
    return parts.elements_in(whole), lambda index: parts.pick(whole, (index,))


def run_children(runner: RunsTask, children: list[Child], executor: Submits | None) -> Mapped:
    """Run the children on the executor, else here, and return the parent's state with theirs in it."""
    snapshot = run_context.snapshot()
    states: list[State | None]
    if executor is None:
        states = [run_child(runner, child, snapshot) for child in children]
    else:
        futures = [executor.submit(run_child, runner, child, snapshot) for child in children]
        states = list(executor.wait(futures))
    parent = Mapped("Mapped tasks submitted for execution.", map_states=states)
    return parts.reduced(parent)  # type: ignore[return-value]


def run_child(runner: RunsTask, child: Child, snapshot: dict[str, Any]) -> State:
    """Run one child; on a worker when the executor has some."""
    return runner.run(
        state=child.state, upstream_states=child.upstream_states, context={**snapshot, "map_index": child.index}
    )
