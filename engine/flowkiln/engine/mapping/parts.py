"""What the children of a mapped task take from each upstream state."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

from flowkiln.common.exceptions import SerializationError
from flowkiln.engine.mapping.elements import NoElements, counted, element, element_count, elements
from flowkiln.states.result import NoResult, Result, Undelivered
from flowkiln.states.state import Mapped, Pending, State


def elements_in(state: State) -> int | None:
    """The number of elements that a state's result maps over; None if it gives nothing to map over.

    The result of a failed state says why it failed: it is never mapped over, whatever its type.
    """
    return None if state.is_failed() else element_count(state.result)


def inner_elements_in(state: State) -> tuple[int, ...] | None:
    """The number of elements of each element of a state's result; None if it gives nothing to flatten and map over."""
    return None if state.is_failed() else inner_counts(state.result)


def inner_counts(value: Any) -> tuple[int, ...] | None:
    """The number of elements of each element, for a value that is flattened; None if that cannot be done."""
    try:
        return tuple(counted(inner) for inner in elements(value))
    except Exception:
        return None


def pick(state: State, path: tuple[int, ...]) -> State:
    """Make a copy of a state whose result is the element at `path`; without a result, the state itself."""
    if state._result == NoResult:
        return state
    value = state.result
    for index in path:
        value = element(value, index)
    picked = copy.copy(state)
    picked._result = Result(value, getattr(state._result, "result_handler", None))
    return picked


def flat_elements(state: State) -> list[State] | None:
    """Give a state for each element that is left when one level of nesting is removed; None if that cannot be done.

    The elements of a mapped task's children are theirs: each carries its own child's state.
    """
    if isinstance(state, Mapped) and state.map_states:
        picked: list[State] = []
        for child in state.map_states:
            count = None if child is None else elements_in(child)
            if child is None or count is None:
                return None
            picked.extend(pick(child, (index,)) for index in range(count))
        return picked
    counts = inner_elements_in(reduced(state))
    if counts is None:
        return None
    whole = reduced(state)
    return [pick(whole, (outer, inner)) for outer, count in enumerate(counts) for inner in range(count)]


def reduced(state: State) -> State:
    """Give a Mapped state whose result is the list of its children's results; any other state as it is."""
    if not isinstance(state, Mapped):
        return state
    whole = copy.copy(state)
    if state.map_states or state._result == NoResult:
        try:
            whole._result = Result([NoResult if child is None else child.result for child in state.map_states])
        except SerializationError as error:
            # Whoever only waits for the children needs none of their results.
            whole._result = Undelivered(str(error))
    return whole


def flattened(state: State) -> Result:
    """Give the result of a state with one level of nesting removed.

    What failed or has no result is left as it is: the trigger, not the flattening, decides what becomes of it.

    Raises:
        NoElements: the result, or an element of it, has no elements by position.
    """
    if isinstance(state, Mapped) and state.map_states:
        flat: list[Any] = []
        for index, child in enumerate(state.map_states):
            if child is not None and _has_value(child):
                flat.extend(_inner(index, child.result))
            else:
                flat.append(NoResult if child is None else child.result)
        return Result(flat)
    whole = reduced(state)
    if not _has_value(whole):
        return whole._result
    return Result([each for index, inner in enumerate(elements(whole.result)) for each in _inner(index, inner)])


def _inner(index: int, value: Any) -> Sequence[Any]:
    try:
        return elements(value)
    except NoElements as reason:
        raise NoElements(f"is to be flattened, and its element {index} {reason}") from reason


def _has_value(state: State) -> bool:
    """Whether the result is a value, not the exception or signal that a state was made from."""
    return not (state.is_failed() or state._result == NoResult or isinstance(state.result, BaseException))


def expanded(states: list[State]) -> list[State]:
    """Replace each Mapped state by its children; a child that never started is Pending."""
    result: list[State] = []
    for state in states:
        if isinstance(state, Mapped):
            result.extend(Pending("Never started.") if child is None else child for child in state.map_states)
        else:
            result.append(state)
    return result
