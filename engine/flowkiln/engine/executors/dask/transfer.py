"""Transfer the result of a unit between processes, without the values that cannot be pickled.

Dask itself retries for ever to send a value that cannot be pickled, and loses the connection over one that cannot be
unpickled.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from dask.sizeof import sizeof
from distributed.protocol import pickle
from distributed.protocol.serialize import dask_deserialize, dask_serialize, pickle_dumps, pickle_loads
from distributed.sizeof import safe_sizeof

from flowkiln.common.safe_text import safe_repr, safe_str
from flowkiln.engine.driver.units import Children, Element, InlineState, Member, ResumedState, Unit
from flowkiln.engine.executors.dask.stream import dumps
from flowkiln.engine.serialization.portable import portable
from flowkiln.engine.serialization.unpicklable import is_picklable, unpicklable_part
from flowkiln.engine.unit_runner import UnitResult
from flowkiln.states.result import NoResult, Result, Undelivered
from flowkiln.states.state import KINDS, State, kind_of, without_result


@dataclass(frozen=True, slots=True)
class TransferableUnit(UnitResult):
    """The result of a unit on a Dask worker."""


_CLASSES = {name: kind for kind, name in KINDS.items()}

WHAT_TO_DO = "Return plain data, or open it inside the task that uses it."


def sendable(state: State) -> State:
    """Return the state if it can be pickled, else one of its kind whose result says why it is missing."""
    try:
        pickle.dumps(state)
    except BaseException as error:
        return _without_result(state, _reason(state._result, error))
    return state


def _reason(result: Result, error: BaseException) -> str:
    if isinstance(result, Undelivered):
        return result.reason
    why = unpicklable_part(result.value) or safe_str(error)
    return f"A result of type {type(result.value).__qualname__} cannot be sent to another process: {why}. {WHAT_TO_DO}"


def _without_result(state: State, reason: str) -> State:
    light = without_result(state)
    if not is_picklable(light):
        return _undelivered(kind_of(state), reason)
    light._result = NoResult if state._result == NoResult else Undelivered(reason)
    return light


def dumps_unit(unit: Unit) -> bytes:
    """Pickle a unit; results of inline states that cannot be pickled are omitted."""
    try:
        return dumps(unit)
    except Exception:
        return dumps(replace(unit, members=tuple(map(_sendable_member, unit.members))))


def _sendable_member(member: Member) -> Member:
    initial = None if member.initial is None else _sendable_source(member.initial)
    return member._replace(initial=initial, upstream=tuple(map(_sendable_source, member.upstream)))


def _sendable_source(source: Any) -> Any:
    match source:
        case InlineState(state):
            return InlineState(sendable(state))
        case ResumedState(inner) | Element(inner):
            return source._replace(source=_sendable_source(inner))
        case Children(sources):
            return Children(tuple(map(_sendable_source, sources)))
        case _:
            return source


def _undelivered(kind: str, reason: str) -> State:
    state: State = _CLASSES[kind]()
    state._result = Undelivered(reason)
    return state


def _pack(held: TransferableUnit) -> tuple[dict[str, Any], list[Any]]:
    states = tuple(map(portable, held.states))
    try:
        header, frames = pickle_dumps(states)
    except BaseException:
        header, frames = pickle_dumps(tuple(map(sendable, states)))
    return {**header, "kinds": [kind_of(state) for state in states]}, frames


def _unpack(header: dict[str, Any], frames: list[Any]) -> TransferableUnit:
    try:
        return TransferableUnit(pickle_loads(header, frames))
    except BaseException as error:
        kinds = header["kinds"]
        which = "A result" if len(kinds) == 1 else f"One of {len(kinds)} results that travelled together"
        reason = f"{which} cannot be read in another process, where unpickling it fails: {safe_repr(error)}."
        return TransferableUnit(tuple(_undelivered(kind, f"{reason} {WHAT_TO_DO}") for kind in kinds))


STATE_SIZE = 500
"""Approximate bytes of a state without its result."""


def _size(held: TransferableUnit) -> int:
    """Return the size of a unit's result, by which Dask decides what to move and what to spill to disk."""
    return sum(map(_state_size, held.states))


def _state_size(state: State) -> int:
    return STATE_SIZE if isinstance(state._result, Undelivered) else STATE_SIZE + safe_sizeof(state.result)


sizeof.register(TransferableUnit, _size)
dask_serialize.register(TransferableUnit, _pack)
dask_deserialize.register(TransferableUnit, _unpack)
