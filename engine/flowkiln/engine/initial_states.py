"""The driver's view of the states from which the caller starts tasks."""

from __future__ import annotations

import copy

from flowkiln.engine.driver import InitialState, Node
from flowkiln.engine.mapping import parts
from flowkiln.engine.runner import unwrap
from flowkiln.states.state import Mapped, State


def initial_state(node: Node, state: State, *, settled: bool) -> InitialState:
    """Return the driver's view of a task's initial state. `settled`: the same run reached it before."""
    state = unwrap(state)
    if isinstance(state, Mapped) and node.is_mapped:
        state = copy.copy(state)
        state.map_states = [None if child is None else unwrap(child) for child in state.map_states]
        children = (None if child is None else _counted(node, child, settled=settled) for child in state.map_states)
        return InitialState(state, settled=settled, children=tuple(children))
    return _counted(node, state, settled=settled)


def _counted(node: Node, state: State, *, settled: bool) -> InitialState:
    inner = parts.inner_elements_in(state) if node.flattened_over else None
    return InitialState(state, parts.elements_in(state), inner, settled)
