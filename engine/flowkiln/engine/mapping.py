"""What the children of a mapped task take from each upstream state."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from flowkiln.engine.result import NoResult, Result
from flowkiln.engine.state import Mapped, Pending, State


def element_count(value: Any) -> int | None:
    """The number of elements that a value maps over, by integer indexing from 0; None if it cannot be mapped."""
    if isinstance(value, Mapping | set | frozenset) or not hasattr(value, "__getitem__") or isinstance(value, type):
        return None
    try:
        count = len(value)
    except TypeError:
        return _count_by_indexing(value)
    if count:
        try:
            value[0]
        except (LookupError, TypeError, ValueError):
            return None
    return count


def _count_by_indexing(value: Any) -> int | None:
    count = 0
    while True:
        try:
            value[count]
        except IndexError:
            return count
        except Exception:
            return None
        count += 1


def inner_counts(value: Any) -> tuple[int, ...] | None:
    """The number of elements of each element, for a value that is flattened; None if that cannot be done."""
    count = element_count(value)
    if count is None:
        return None
    counts = [element_count(value[index]) for index in range(count)]
    return None if any(n is None for n in counts) else tuple(n for n in counts if n is not None)


def pick(state: State, path: tuple[int, ...]) -> State:
    """Make a copy of a state whose result is the element at `path`; without a result, the state itself."""
    if state._result == NoResult:
        return state
    value = state.result
    for index in path:
        value = value[index]
    picked = copy.copy(state)
    picked._result = Result(value, getattr(state._result, "result_handler", None))
    return picked


def reduced(state: State) -> State:
    """Give a Mapped state whose result is the list of its children's results; any other state as it is."""
    if not isinstance(state, Mapped):
        return state
    whole = copy.copy(state)
    if state.map_states or state._result == NoResult:
        whole._result = Result([NoResult if child is None else child.result for child in state.map_states])
    return whole


def flattened(state: State) -> State:
    """Give a copy of a state with one level of nesting removed from its result."""
    whole = reduced(state)
    if whole._result == NoResult:
        return whole
    flat = copy.copy(whole)
    flat._result = Result([element for inner in whole.result for element in inner])
    return flat


def expanded(states: list[State]) -> list[State]:
    """Replace each Mapped state by its children; a child that never started is Pending."""
    result: list[State] = []
    for state in states:
        if isinstance(state, Mapped):
            result.extend(Pending("Never started.") if child is None else child for child in state.map_states)
        else:
            result.append(state)
    return result
