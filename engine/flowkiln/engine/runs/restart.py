"""Restart from failure: keep the successful states of an earlier run, and rerun the others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from flowkiln.states.state import Mapped, Pending, State

if TYPE_CHECKING:
    from flowkiln.core.edge import Edge
    from flowkiln.core.flow import Flow
    from flowkiln.core.task import Task

_ALL = None
_Reset = set[int] | None
"""Which children of a task start again: these, or all (None)."""


def restart_from_failure(flow: Flow, task_states: Mapping[Task, State]) -> dict[Task, State]:
    """Return the task states with which a run of `flow` continues after a failure, to pass as `task_states`.

    Failed and cancelled task runs, including single mapped children, and their downstream become Pending with their
    cached inputs. Successful and unfinished states are kept. `task_states` is not modified.
    """
    resets: dict[Task, _Reset] = {}
    restarted = dict(task_states)
    for task in flow.sorted_tasks():
        state = task_states.get(task)
        if state is None:
            resets[task] = set()
            continue
        reset = _own_failures(state)
        for edge in flow.edges_to(task):
            reset = _joined(reset, _inherited(edge, resets[edge.upstream_task], state))
        resets[task] = reset
        restarted[task] = _reset(state, reset)
    return restarted


def _own_failures(state: State) -> _Reset:
    if isinstance(state, Mapped) and state.map_states:
        return {index for index, child in enumerate(state.map_states) if child is None or _went_wrong(child)}
    return _ALL if _went_wrong(state) else set()


def _went_wrong(state: State) -> bool:
    return state.is_finished() and not state.is_successful()


def _inherited(edge: Edge, upstream: _Reset, state: State) -> _Reset:
    """Return which children restart because of an upstream task: in a one-to-one map those with the same index."""
    if not upstream and upstream is not _ALL:
        return set()
    if upstream is not _ALL and edge.mapped and not edge.flattened and isinstance(state, Mapped):
        return {index for index in upstream if index < len(state.map_states)}
    return _ALL


def _joined(one: _Reset, other: _Reset) -> _Reset:
    return _ALL if one is _ALL or other is _ALL else one | other


def _reset(state: State, reset: _Reset) -> State:
    if not state.is_finished() or reset == set():
        return state
    if reset is not _ALL and isinstance(state, Mapped):
        return Mapped(
            state.message,
            map_states=[_pending(child) if index in reset else child for index, child in enumerate(state.map_states)],
        )
    return _pending(state)


def _pending(state: State | None) -> Pending:
    return Pending("Restarted after a failure.", cached_inputs=getattr(state, "cached_inputs", None))
