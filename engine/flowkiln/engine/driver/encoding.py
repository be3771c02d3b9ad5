"""Events, instructions and graphs as JSON: their shape, and of states no more than the driver looks at.

Results, messages, tracebacks and inputs are left out, so what is written tells nothing of a user's data, and reading it
runs no code. A state class of a user's own becomes an empty class of the same name and base.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
from typing import Any

from flowkiln.engine.driver import events, fusion, graph, instructions, units
from flowkiln.states.records import TaskRunRecord
from flowkiln.states.state import KINDS, Mapped, Scheduled, State, kind_of, own_class_of

_CLASSES = {
    one.__name__: one
    for one in (
        *(graph.RunGraph, graph.Node, graph.InEdge, fusion.UnitPolicy, events.InitialState),
        *(events.Started, events.UnitEnded, events.UnitLost, events.UnitForgotten, events.WorkerLost),
        *(events.MemberStuck, events.UnitShortened, events.HandlersCalled, events.TimerDue, events.GateChanged),
        *(events.StartRequested, events.TerminateRequested, events.Outcome, events.LostUnit),
        *(instructions.SubmitUnits, instructions.CancelUnits, instructions.Release, instructions.WaitUntil),
        *(instructions.CallHandlers, instructions.Announce, instructions.SetGate, instructions.Drained),
        *(instructions.Finish, units.Unit, units.Member, units.InlineState, units.StateRef, units.ResumedState),
        *(units.Element, units.Children, units.ChildrenRef, TaskRunRecord),
    )
}
_STATES = {name: kind for kind, name in KINDS.items()}
_LEFT_OUT = frozenset({"message", "traceback"})


def encode(value: Any) -> Any:
    """Return what JSON can express of a value of the driver's."""
    if value is None or isinstance(value, str | int | float):
        return value
    if isinstance(value, State):
        return _encode_state(value)
    name = type(value).__name__
    if _CLASSES.get(name) is type(value):
        return {"type": name, **{field: encode(getattr(value, field)) for field in _fields(type(value))}}
    if isinstance(value, tuple | list):
        return [encode(one) for one in value]
    raise TypeError(f"A driver has no values of type {name}.")


def decode(value: Any) -> Any:
    """Return the value that was encoded, with tuples for all sequences and without what was left out.

    Raises:
        ValueError: it is nothing that `encode` gives.
    """
    if isinstance(value, list):
        return tuple(map(decode, value))
    if not isinstance(value, dict):
        return value
    if "type" not in value:
        return _decode_state(value)
    kind = _CLASSES.get(value["type"])
    if kind is None:
        raise ValueError(f"{value['type']!r} is no type that a driver knows.")
    fields = {name: decode(one) for name, one in value.items() if name != "type"}
    if "message" in _all_fields(kind):
        fields["message"] = ""
    try:
        return kind(**fields)
    except TypeError as error:
        raise ValueError(f"{kind.__name__}: {error}") from error


def _fields(kind: type) -> list[str]:
    return [name for name in _all_fields(kind) if name not in _LEFT_OUT]


def _all_fields(kind: type) -> list[str]:
    if dataclasses.is_dataclass(kind):
        return [field.name for field in dataclasses.fields(kind) if field.init]
    named: tuple[str, ...] = getattr(kind, "_fields", ())
    return list(named)


def _encode_state(state: State) -> dict[str, Any]:
    found: dict[str, Any] = {"state": kind_of(state)}
    if own_class_of(state):
        found["class"] = own_class_of(state)
    if isinstance(state, Scheduled):
        found["start_time"] = state.start_time.isoformat()
    if isinstance(state, Mapped) and state.map_states:
        found["children"] = [encode(child) for child in state.map_states]
    return found


def _decode_state(value: dict[str, Any]) -> State:
    kind = _STATES.get(value.get("state", ""))
    if kind is None:
        raise ValueError(f"{value.get('state')!r} is no built-in state.")
    own = value.get("class")
    state: State = (type(str(own), (kind,), {}) if own else kind)()
    if isinstance(state, Scheduled):
        state.start_time = dt.datetime.fromisoformat(value["start_time"])
    if isinstance(state, Mapped):
        state.map_states = list(decode(value.get("children", [])))
    return state
