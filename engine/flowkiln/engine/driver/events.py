"""What the driver is told."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from flowkiln.engine.driver.units import UnitKey
from flowkiln.states.records import NOT_MAPPED
from flowkiln.states.state import State


class Outcome(NamedTuple):
    """What one member came to, and how many elements its result has if that was asked.

    The state has no values, unless it is `inline`: then its result is small, and whoever has this need not ask for it.

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
    """A state that the caller starts a task from, and how many elements its result has.

    `settled`: it was reached earlier in the same run, so that even a Cached one is final. `children` are those of a
    Mapped one.
    """

    state: State
    elements: int | None = None
    inner: tuple[int, ...] | None = None
    settled: bool = False
    children: tuple[InitialState | None, ...] = ()


@dataclass(frozen=True, slots=True)
class Started:
    """The run begins. Times are seconds since the epoch."""

    now: float


@dataclass(frozen=True, slots=True)
class UnitEnded:
    """A unit ended; `outcomes` are of its first members. Those that are not in it did not run.

    `seconds` is how long these took, `size` how many bytes they left behind, as far as that is known; `gathered` is how
    many children a unit found that was to gather some.
    """

    key: UnitKey
    outcomes: tuple[Outcome, ...]
    now: float
    seconds: float = 0.0
    size: int = 0
    gathered: int = 0


@dataclass(frozen=True, slots=True)
class UnitLost:
    """A unit will never end: what it ran on died too often, or it could not be started."""

    key: UnitKey
    message: str
    now: float


@dataclass(frozen=True, slots=True)
class UnitForgotten:
    """What a unit left behind, or how far it was, is lost. It was to begin once more, which has been prevented."""

    key: UnitKey
    now: float


@dataclass(frozen=True, slots=True)
class LostUnit:
    """A unit that was on a worker that died; `began` is the position of the member that was seen running, if any.

    `likely`: none was seen, but one may have begun that was not told of.
    """

    key: UnitKey
    began: int | None = None
    likely: bool = False


@dataclass(frozen=True, slots=True)
class WorkerLost:
    """A worker died. `charged` False: it was ended on purpose, and nobody on it is to blame."""

    units: tuple[LostUnit, ...]
    message: str
    charged: bool
    now: float


@dataclass(frozen=True, slots=True)
class MemberStuck:
    """A member could not be stopped in time, so its worker process was ended.

    `outcomes` are those of the members that ran, in order; the stuck one is the last.
    """

    key: UnitKey
    outcomes: tuple[Outcome, ...]
    now: float


@dataclass(frozen=True, slots=True)
class UnitShortened:
    """A unit that is still under way will run none but its first `length` members: the others may go elsewhere."""

    key: UnitKey
    length: int
    now: float


@dataclass(frozen=True, slots=True)
class HandlersCalled:
    """The state handlers of a mapped parent were called.

    They settled on `state`, with so many elements, or left it as it was (None).
    """

    node: int
    state: State | None
    now: float
    elements: int | None = None
    inner: tuple[int, ...] | None = None


@dataclass(frozen=True, slots=True)
class TimerDue:
    """The time that a `WaitUntil` named has come."""

    now: float


@dataclass(frozen=True, slots=True)
class GateChanged:
    """With the gate closed nothing new starts: what runs goes on to its end, what is queued comes back."""

    open: bool
    now: float = 0.0


@dataclass(frozen=True, slots=True)
class StartRequested:
    """Somebody wants a Paused task run to go on; one that is not Paused is left alone."""

    local_id: str
    map_index: int = NOT_MAPPED
    now: float = 0.0


@dataclass(frozen=True, slots=True)
class TerminateRequested:
    """End the run now: what has not finished is Cancelled."""

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
