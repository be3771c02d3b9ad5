"""The events that the driver handles."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from flowkiln.engine.driver.units import UnitKey
from flowkiln.states.records import NOT_MAPPED
from flowkiln.states.state import State


class Outcome(NamedTuple):
    """The outcome of one member, and the number of elements of its result if requested.

    The state has no values, unless it is `inline`: then its result is small and included.

    A named tuple, as one is made and pickled for every task run.
    """

    node: int
    map_index: int
    visit: int
    state: State
    elements: int | None = None
    inner: tuple[int, ...] | None = None
    inline: bool = False


@dataclass(frozen=True, slots=True)
class InitialState:
    """The state from which the caller starts a task, and the number of elements of its result.

    `settled`: it was reached earlier in the same run, so even a Cached state is final. `children` are those of a Mapped
    state.
    """

    state: State
    elements: int | None = None
    inner: tuple[int, ...] | None = None
    settled: bool = False
    children: tuple[InitialState | None, ...] = ()


@dataclass(frozen=True, slots=True)
class Started:
    """The run starts. Times are seconds since the epoch."""

    now: float


@dataclass(frozen=True, slots=True)
class UnitEnded:
    """A unit ended. `outcomes` are those of its first members; the others did not run.

    `seconds` is the duration, `size` the bytes of the results if known; `gathered` is the number of children that a
    gathering unit found.
    """

    key: UnitKey
    outcomes: tuple[Outcome, ...]
    now: float
    seconds: float = 0.0
    size: int = 0
    gathered: int = 0


@dataclass(frozen=True, slots=True)
class UnitLost:
    """A unit will never end: its workers were lost too often, or it could not be started."""

    key: UnitKey
    message: str
    now: float


@dataclass(frozen=True, slots=True)
class UnitForgotten:
    """The results or the progress of a unit are lost. Dask sent it to a worker again, which did not run it."""

    key: UnitKey
    now: float


@dataclass(frozen=True, slots=True)
class LostUnit:
    """A unit of a lost worker; `began` is the position of the member that was reported running, if any.

    `likely`: no member was reported, but one may have started.
    """

    key: UnitKey
    began: int | None = None
    likely: bool = False


@dataclass(frozen=True, slots=True)
class WorkerLost:
    """A worker was lost. `charged` is False if it was ended on purpose, so its task runs are not charged."""

    units: tuple[LostUnit, ...]
    message: str
    charged: bool
    now: float


@dataclass(frozen=True, slots=True)
class MemberStuck:
    """A member could not be stopped in time, so its worker process was ended.

    `outcomes` are those of the members that ran, in order; the last one is the stuck member's.
    """

    key: UnitKey
    outcomes: tuple[Outcome, ...]
    now: float


@dataclass(frozen=True, slots=True)
class UnitShortened:
    """A unit in flight will run only its first `length` members; the others can be submitted again."""

    key: UnitKey
    length: int
    now: float


@dataclass(frozen=True, slots=True)
class HandlersCalled:
    """The state handlers of a mapped parent were called.

    They settled on `state`, with its numbers of elements, or kept the state (None).
    """

    node: int
    state: State | None
    now: float
    elements: int | None = None
    inner: tuple[int, ...] | None = None


@dataclass(frozen=True, slots=True)
class TimerDue:
    """The time of a `WaitUntil` has come."""

    now: float


@dataclass(frozen=True, slots=True)
class GateChanged:
    """The gate was opened or closed. While it is closed, running task runs continue, but queued ones come back."""

    open: bool
    now: float = 0.0


@dataclass(frozen=True, slots=True)
class StartRequested:
    """Resume a Paused task run; ignored if it is not Paused."""

    local_id: str
    map_index: int = NOT_MAPPED
    now: float = 0.0


@dataclass(frozen=True, slots=True)
class TerminateRequested:
    """Terminate the run: unfinished task runs become Cancelled."""

    now: float = 0.0


Event = (
    Started
    | UnitEnded
    | UnitLost
    | UnitForgotten
    | WorkerLost
    | MemberStuck
    | UnitShortened
    | HandlersCalled
    | TimerDue
    | GateChanged
    | StartRequested
    | TerminateRequested
)
