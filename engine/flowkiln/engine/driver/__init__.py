"""The pure driver: `Driver.handle(event) -> [instruction]`. Everything hard about a run is decided here."""

from flowkiln.engine.driver.core import Driver, GivenState
from flowkiln.engine.driver.events import (
    Event,
    GateChanged,
    HandlersCalled,
    LostUnit,
    MemberStuck,
    Outcome,
    Started,
    StartRequested,
    TerminateRequested,
    TimerDue,
    UnitEnded,
    UnitLost,
    UnitShortened,
    WorkerLost,
)
from flowkiln.engine.driver.fusion import UnitPolicy
from flowkiln.engine.driver.graph import InEdge, Node, RunGraph
from flowkiln.engine.driver.instructions import (
    Announce,
    CallHandlers,
    CancelUnits,
    Drained,
    Finish,
    Instruction,
    Release,
    SetGate,
    SubmitUnits,
    WaitUntil,
)
from flowkiln.engine.driver.units import Member, Unit

__all__ = [
    "Announce",
    "CallHandlers",
    "CancelUnits",
    "Drained",
    "Driver",
    "Event",
    "Finish",
    "GateChanged",
    "GivenState",
    "HandlersCalled",
    "InEdge",
    "Instruction",
    "LostUnit",
    "Member",
    "MemberStuck",
    "Node",
    "Outcome",
    "Release",
    "RunGraph",
    "SetGate",
    "StartRequested",
    "Started",
    "SubmitUnits",
    "TerminateRequested",
    "TimerDue",
    "Unit",
    "UnitEnded",
    "UnitLost",
    "UnitPolicy",
    "UnitShortened",
    "WaitUntil",
    "WorkerLost",
]
