"""The actions of `decide`. `apply` carries them out in order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, TypeAlias

from flowkiln_operator.resources.plan import PlanWithSources


@dataclass(frozen=True, slots=True)
class CreateChild:
    """Create an object of the run. If it exists, it must belong to the run.

    `of_role`: its owner is the run's Role, not the FlowRun, since only the run's pods need it.
    """

    manifest: Mapping[str, Any]
    of_role: bool = False


@dataclass(frozen=True, slots=True)
class CreateDaskCluster:
    """Create the TLS Secret of the run's DaskCluster of this number, and then the DaskCluster."""

    number: int
    fixed: PlanWithSources


@dataclass(frozen=True, slots=True)
class ApplyStatus:
    """Apply the operator's complete part of the status, at the resourceVersion of the snapshot."""

    status: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class DeleteDaskCluster:
    """Delete this DaskCluster and its pods."""

    name: str
    uid: str


@dataclass(frozen=True, slots=True)
class DeleteRole:
    """Delete the run's Role, and with it everything that it owns: the DaskCluster, and what only its pods need."""


@dataclass(frozen=True, slots=True)
class DeleteFlowRun:
    """Delete the FlowRun: its ttlAfterFinished is over."""


@dataclass(frozen=True, slots=True)
class RecordEvent:
    """Record an Event on the FlowRun."""

    type: Literal["Normal", "Warning"]
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class RequeueAt:
    """Reconcile the run again at this time, even without events."""

    time: datetime


Action: TypeAlias = (
    CreateChild
    | CreateDaskCluster
    | ApplyStatus
    | DeleteDaskCluster
    | DeleteRole
    | DeleteFlowRun
    | RecordEvent
    | RequeueAt
)
Actions: TypeAlias = tuple[Action, ...]
