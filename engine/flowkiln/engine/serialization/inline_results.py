"""Results small enough to be part of the report of their unit; the driver keeps them."""

from __future__ import annotations

import datetime as dt
from itertools import chain
from typing import Any

from flowkiln.states.result import NoResult, Result
from flowkiln.states.state import Mapped, State

INLINE_LIMIT = 1024
"""Approximate maximum bytes of an inline result."""

INLINE_UNIT_LIMIT = 8 * 1024
"""Approximate maximum bytes of the inline results of one unit. Dask's scheduler keeps the last thousand reports."""

_EACH = 8
_PLAIN = frozenset({type(None), bool, float, complex, dt.date, dt.timedelta})


def inline_size(state: State, limit: int = INLINE_LIMIT) -> int | None:
    """Return about how many bytes the result of a state takes; None if it is not small, or more than `limit`.

    Only values of built-in types and containers of them can be inline: unpickling a user's type may fail, and a unit
    with an unreadable report is lost.
    """
    # Not by `__dict__`: reading it doubles the memory of the object.
    if (
        not (state.message is None or type(state.message) is str)
        or getattr(state, "cached_inputs", None)
        or getattr(state, "cached_parameters", None)
        or hasattr(state, "_loop")
        or isinstance(state, Mapped)
    ):
        return None
    result = state._result
    if type(result) is not Result:
        return 0 if result == NoResult else None
    if result.result_handler is not None:
        return None
    try:
        left = _left(result.value, limit)
    except Exception:
        # Another thread is changing the container.
        return None
    return None if left < 0 else limit - left


def _left(value: Any, room: int) -> int:
    """Return the room left after a value; negative if it does not fit."""
    kind = type(value)
    if kind in _PLAIN:
        return room - _EACH
    if kind is int:
        return room - _EACH - int(value.bit_length()) // 8
    if kind is str or kind is bytes:
        return room - _EACH - len(value)
    if kind is list or kind is tuple or kind is set or kind is frozenset:
        items = iter(value)
    elif kind is dict:
        items = chain.from_iterable(value.items())
    else:
        return -1
    room -= _EACH * (1 + len(value))
    for item in items:
        if room < 0:
            break
        room = _left(item, room)
    return room
