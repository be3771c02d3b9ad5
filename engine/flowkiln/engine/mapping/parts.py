"""The parts of upstream states that the children of a mapped task use."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from flowkiln.common.exceptions import SerializationError
from flowkiln.engine.mapping.elements import NoElements, counted, element, element_count, elements
from flowkiln.states.result import NoResult, NoResultType, Result, Undelivered
from flowkiln.states.state import KINDS, Finished, Mapped, Pending, State


def elements_in(state: State) -> int | None:
    """Return the number of elements of a state's result; None if it cannot be mapped over.

    The result of a failed state is its error, and is never mapped over.
    """
    return None if state.is_failed() else element_count(state.result)


def inner_elements_in(state: State) -> tuple[int, ...] | None:
    """Return the number of elements of each element of a state's result; None if it cannot be flattened."""
    return None if state.is_failed() else inner_counts(state.result)


def inner_counts(value: Any) -> tuple[int, ...] | None:
    """Return the number of elements of each element of a value; None if it cannot be flattened."""
    try:
        return tuple(counted(inner) for inner in elements(value))
    except Exception:
        return None


def pick(state: State, path: tuple[int, ...]) -> State:
    """Return a copy of a state with the element at `path` as its result; without a result, the state itself."""
    whole = state._result
    if isinstance(whole, NoResultType):
        return state
    value = whole.value
    for index in path:
        value = element(value, index)
    picked = state.__copy__()
    picked._result = Result(value, getattr(whole, "result_handler", None))
    return picked


def flat_elements(state: State) -> list[State] | None:
    """Return a state for each element after removing one level of nesting; None if that is not possible.

    The elements of a mapped task's children have the state of their child.
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


@dataclass(slots=True)
class ChildrenSummary:
    """What is asked again and again of children that many task runs use whole, found out once.

    `children` is the list that it is about. `kinds` has one state of each built-in class, and all of other classes.
    `flat` is the result with one level of nesting removed, once somebody has asked for it.
    """

    children: list[State | None]
    is_finished: bool
    is_any_skipped: bool
    kinds: tuple[State, ...]
    flat: Result | None = None


def gathered(states: Sequence[State]) -> Mapped:
    """Make the Mapped state of these children, with their results, for many task runs that all use the one object."""
    whole = Mapped(map_states=list(states))
    whole._result = reduced(whole)._result
    whole.__dict__["_summary"] = ChildrenSummary(
        whole.map_states,
        all(state.is_finished() for state in states),
        any(state.is_skipped() for state in states),
        tuple({type(state) if type(state) in KINDS else id(state): state for state in states}.values()),
    )
    return whole


def _summary(state: State) -> ChildrenSummary | None:
    known: ChildrenSummary | None = state.__dict__.get("_summary")
    # A copy whose children were replaced is another one.
    return known if known is not None and known.children is state.__dict__.get("map_states") else None


def reduced(state: State) -> State:
    """Return a Mapped state whose result is the list of its children's results; any other state as it is."""
    if not isinstance(state, Mapped) or _summary(state) is not None:
        return state
    whole = copy.copy(state)
    if state.map_states or state._result == NoResult:
        try:
            whole._result = Result([NoResult if child is None else child.result for child in state.map_states])
        except SerializationError as error:
            # A task that only waits for the children needs no results.
            whole._result = Undelivered(str(error))
    return whole


def flattened(state: State) -> Result:
    """Return the result of a state with one level of nesting removed.

    Failed states and states without result are unchanged: the trigger, not the flattening, handles them.

    Raises:
        NoElements: the result, or an element of it, has no elements by position.
    """
    known = _summary(state)
    if known is not None:
        known.flat = known.flat or _flattened(state)
        return known.flat
    return _flattened(state)


def _flattened(state: State) -> Result:
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
    """Return whether the result is a value, not an exception or signal."""
    return not (state.is_failed() or state._result == NoResult or isinstance(state.result, BaseException))


def expanded(states: Iterable[State]) -> list[State]:
    """Replace each Mapped state by its children; a child that never started is Pending."""
    result: list[State] = []
    for state in states:
        if isinstance(state, Mapped):
            result.extend(_children(state))
        else:
            result.append(state)
    return result


def _children(state: Mapped) -> Iterator[State]:
    return (Pending("Never started.") if child is None else child for child in state.map_states)


def kinds(states: Iterable[State]) -> list[State]:
    """Replace each Mapped state by its children, or by as many of them as show which classes of states there are."""
    result: list[State] = []
    for state in states:
        known = _summary(state)
        result.extend(expanded([state]) if known is None else known.kinds)
    return result


def are_children_finished(state: Mapped) -> bool:
    """Return whether all children of a Mapped state are finished."""
    known = _summary(state)
    return all(isinstance(child, Finished) for child in state.map_states) if known is None else known.is_finished


def is_any_skipped(states: Iterable[State]) -> bool:
    """Return whether any of these states, or of the children of a Mapped one, is skipped."""
    for state in states:
        if not isinstance(state, Mapped):
            if state.is_skipped():
                return True
            continue
        known = _summary(state)
        if any(child.is_skipped() for child in _children(state)) if known is None else known.is_any_skipped:
            return True
    return False
