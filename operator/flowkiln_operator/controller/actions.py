"""What `decide` can ask for. `apply` carries it out, in the order of the list."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, TypeAlias

from flowkiln_operator.resources.plan import PlanWithSources


@dataclass(frozen=True, slots=True)
class CreateChild:
    """Create an object of the run. If it is there already it must be the run's own."""

    manifest: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class CreateDaskCluster:
    """Create the TLS Secret of the run's DaskCluster of this number, and then the DaskCluster."""

    number: int
    fixed: PlanWithSources


@dataclass(frozen=True, slots=True)
class ApplyStatus:
    """Apply the operator's part of the status as a whole, at the resourceVersion that the decision was made on."""

    status: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class DeleteDaskCluster:
    """Delete this DaskCluster, and with it the pods."""

    name: str
    uid: str


@dataclass(frozen=True, slots=True)
class DeleteFlowRun:
    """Delete the FlowRun: its time after the end is over."""


@dataclass(frozen=True, slots=True)
class RecordEvent:
    """Tell people, in an Event on the FlowRun."""

    type: Literal["Normal", "Warning"]
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class RequeueAt:
    """Look at the run again at this time, even if nothing happens."""

    time: datetime


Action: TypeAlias = (
    CreateChild | CreateDaskCluster | ApplyStatus | DeleteDaskCluster | DeleteFlowRun | RecordEvent | RequeueAt
)
Actions: TypeAlias = tuple[Action, ...]
