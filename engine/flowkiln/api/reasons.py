"""States, condition types and reasons of a FlowRun: every word that its status may say, in one place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType


class RunState(StrEnum):
    """The state of a FlowRun (`status.state`)."""

    SCHEDULED = "Scheduled"
    PENDING = "Pending"
    RUNNING = "Running"
    PAUSED = "Paused"
    SUCCESS = "Success"
    FAILED = "Failed"
    CANCELLED = "Cancelled"
    CRASHED = "Crashed"

    @property
    def is_terminal(self) -> bool:
        """Return whether the run is over and its state never changes again."""
        return self in TERMINAL_STATES


TERMINAL_STATES = frozenset({RunState.SUCCESS, RunState.FAILED, RunState.CANCELLED, RunState.CRASHED})


class FlowState(StrEnum):
    """The state that the agent reports (`status.flow.state`)."""

    RUNNING = "Running"
    PAUSED = "Paused"
    SUCCESS = "Success"
    FAILED = "Failed"
    CANCELLED = "Cancelled"
    CRASHED = "Crashed"


class FlowReason(StrEnum):
    """Why the flow is in its state, as the agent reports it (`status.flow.reason`)."""

    RUNNING = "Running"
    WAITING_FOR_INPUT = "WaitingForInput"
    SUCCEEDED = "Succeeded"
    TASK_FAILED = "TaskFailed"
    FLOW_LOAD_FAILED = "FlowLoadFailed"
    TIMED_OUT = "TimedOut"
    PLAN_CHANGED = "PlanChanged"
    TERMINATED = "Terminated"
    CLUSTER_LOST = "ClusterLost"
    AGENT_VERSION = "AgentVersion"


class ConditionType(StrEnum):
    """The types of conditions in `status.conditions`."""

    SUCCEEDED = "Succeeded"
    FINISHED = "Finished"
    RECONCILING = "Reconciling"
    STALLED = "Stalled"
    CLUSTER_READY = "ClusterReady"


class ConditionStatus(StrEnum):
    """The three answers that a condition can give."""

    TRUE = "True"
    FALSE = "False"
    UNKNOWN = "Unknown"


class Reason(StrEnum):
    """Why a run is in its state: the `reason` of its conditions."""

    # Scheduled, Pending, Running
    WAITING_FOR_START_TIME = "WaitingForStartTime"
    FLOW_NOT_FOUND = "FlowNotFound"
    CLUSTER_STARTING = "ClusterStarting"
    RUNNING = "Running"
    # Paused
    WAITING_FOR_INPUT = "WaitingForInput"
    # Success
    SUCCEEDED = "Succeeded"
    # Failed
    TASK_FAILED = "TaskFailed"
    INVALID_SPEC = "InvalidSpec"
    FLOW_LOAD_FAILED = "FlowLoadFailed"
    TIMED_OUT = "TimedOut"
    START_DEADLINE_EXCEEDED = "StartDeadlineExceeded"
    # Crashed
    CLUSTER_NOT_READY = "ClusterNotReady"
    IMAGE_PULL_FAILED = "ImagePullFailed"
    UNSCHEDULABLE = "Unschedulable"
    QUOTA_EXCEEDED = "QuotaExceeded"
    CLUSTER_LOST = "ClusterLost"
    PLAN_CHANGED = "PlanChanged"
    AGENT_UNAVAILABLE = "AgentUnavailable"
    AGENT_VERSION = "AgentVersion"
    NAME_CONFLICT = "NameConflict"
    # Cancelled
    TERMINATED = "Terminated"


class ClusterReadyReason(StrEnum):
    """Reasons that only the condition ClusterReady has, beside those of `Reason` that say what is wrong."""

    READY = "Ready"
    NOT_CREATED = "NotCreated"
    DELETED = "Deleted"


@dataclass(frozen=True, slots=True)
class ConditionStatuses:
    """What the four conditions that follow from a run's state say."""

    succeeded: ConditionStatus
    finished: ConditionStatus
    reconciling: ConditionStatus
    stalled: ConditionStatus

    def items(self) -> tuple[tuple[ConditionType, ConditionStatus], ...]:
        """Return them as (type, status), in the order in which they are written."""
        return (
            (ConditionType.SUCCEEDED, self.succeeded),
            (ConditionType.FINISHED, self.finished),
            (ConditionType.RECONCILING, self.reconciling),
            (ConditionType.STALLED, self.stalled),
        )


_T, _F, _U = ConditionStatus.TRUE, ConditionStatus.FALSE, ConditionStatus.UNKNOWN
_IN_PROGRESS = ConditionStatuses(succeeded=_U, finished=_F, reconciling=_T, stalled=_F)
_BROKEN = ConditionStatuses(succeeded=_F, finished=_T, reconciling=_F, stalled=_T)

CONDITIONS_OF_STATE: Mapping[RunState, ConditionStatuses] = MappingProxyType(
    {
        RunState.SCHEDULED: _IN_PROGRESS,
        RunState.PENDING: _IN_PROGRESS,
        RunState.RUNNING: _IN_PROGRESS,
        RunState.PAUSED: ConditionStatuses(succeeded=_U, finished=_F, reconciling=_F, stalled=_F),
        RunState.SUCCESS: ConditionStatuses(succeeded=_T, finished=_T, reconciling=_F, stalled=_F),
        RunState.FAILED: _BROKEN,
        RunState.CRASHED: _BROKEN,
        RunState.CANCELLED: ConditionStatuses(succeeded=_F, finished=_T, reconciling=_F, stalled=_F),
    }
)
"""What each state means in conditions: kstatus, Flux, Argo CD and `kubectl wait` read these."""
