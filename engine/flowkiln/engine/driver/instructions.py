"""The instructions of the driver."""

from __future__ import annotations

from dataclasses import dataclass

from flowkiln.engine.driver.units import Unit, UnitKey
from flowkiln.states.records import TaskRunRecord
from flowkiln.states.state import State


@dataclass(frozen=True, slots=True)
class SubmitUnits:
    """Execute these units, each once its needs exist; in this order if only one can run."""

    units: tuple[Unit, ...]


@dataclass(frozen=True, slots=True)
class CancelUnits:
    """Cancel these units without waiting for them."""

    keys: tuple[UnitKey, ...]


@dataclass(frozen=True, slots=True)
class Release:
    """Release the results of these units."""

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
    """Send observers the records of state changes that no executor reports."""

    records: tuple[TaskRunRecord, ...]


@dataclass(frozen=True, slots=True)
class SetGate:
    """Open or close the gate. While it is closed, units that have not started come back without running."""

    open: bool


@dataclass(frozen=True, slots=True)
class Drained:
    """The gate is closed and no unit is in flight."""


@dataclass(frozen=True, slots=True)
class Finish:
    """Nothing more will happen by itself: all task runs are finished, or the others wait to be resumed."""

    waiting: tuple[str, ...]
    """Names of task runs that wait to be resumed, such as Paused ones; empty if all are finished."""


Instruction = SubmitUnits | CancelUnits | Release | WaitUntil | CallHandlers | Announce | SetGate | Drained | Finish
