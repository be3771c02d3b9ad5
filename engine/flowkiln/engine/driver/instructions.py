"""What the driver asks for."""

from __future__ import annotations

from dataclasses import dataclass

from flowkiln.engine.driver.units import Unit, UnitKey
from flowkiln.states.records import TaskRunRecord
from flowkiln.states.state import State


@dataclass(frozen=True, slots=True)
class SubmitUnits:
    """Have these units executed, each once what it needs is there; in this order where only one can run."""

    units: tuple[Unit, ...]


@dataclass(frozen=True, slots=True)
class CancelUnits:
    """Stop these units; they will not be waited for."""

    keys: tuple[UnitKey, ...]


@dataclass(frozen=True, slots=True)
class Release:
    """Nobody needs what these units left behind any more."""

    keys: tuple[UnitKey, ...]


@dataclass(frozen=True, slots=True)
class WaitUntil:
    """Send `TimerDue` at this time (seconds since the epoch), unless an earlier one is asked for."""

    time: float


@dataclass(frozen=True, slots=True)
class CallHandlers:
    """A mapped parent changed its state: call its handlers, then send `HandlersCalled`."""

    node: int
    old: State
    new: State


@dataclass(frozen=True, slots=True)
class Announce:
    """Tell observers of state changes that no executor reports."""

    records: tuple[TaskRunRecord, ...]


@dataclass(frozen=True, slots=True)
class SetGate:
    """Let units run, or have those that have not begun come back without having run."""

    open: bool


@dataclass(frozen=True, slots=True)
class Drained:
    """The gate is closed and nothing runs any more."""


@dataclass(frozen=True, slots=True)
class Finish:
    """Nothing more will happen by itself: all is finished, or what is left waits for somebody."""

    waiting: tuple[str, ...]
    """Local ids of task runs that wait for somebody, such as Paused ones; empty when all is finished."""


Instruction = SubmitUnits | CancelUnits | Release | WaitUntil | CallHandlers | Announce | SetGate | Drained | Finish
