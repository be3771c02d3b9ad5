"""Steps that policies share: write a state, end a run."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from flowkiln.api.reasons import ClusterReadyReason, ConditionType, FlowReason, FlowState, Reason, RunState
from flowkiln.api.status import FlowRunStatus
from flowkiln_operator.controller.actions import (
    Actions,
    ApplyStatus,
    DeleteRole,
    RecordEvent,
)
from flowkiln_operator.controller.closing import close_report
from flowkiln_operator.controller.conditions import ClusterReady, conditions
from flowkiln_operator.controller.decide import diagnosis
from flowkiln_operator.controller.decide.times import times
from flowkiln_operator.controller.snapshot import RunView, Snapshot

NO_CLUSTER = ClusterReady(False, ClusterReadyReason.NOT_CREATED, "The run has no Dask cluster yet.")
DELETED_CLUSTER = ClusterReady(False, ClusterReadyReason.DELETED, "The Dask cluster was deleted.")


def write(
    snapshot: Snapshot, state: RunState, reason: str, message: str, *, ready: ClusterReady | None = None, **fields: Any
) -> Actions:
    """Set the state of the run and its conditions; no action if the status has them already.

    `ready` is the new ClusterReady, by default unchanged. `fields` are other fields of the status.
    """
    run = snapshot.run
    wanted = run.status.model_copy(
        update={
            **fields,
            "state": state,
            "observed_generation": run.generation,
            "conditions": conditions(
                run.status.conditions,
                state,
                reason=reason,
                message=message,
                cluster=ready or cluster_ready(run.status),
                generation=run.generation,
                now=snapshot.now,
            ),
        }
    )
    if wanted == run.status:
        return ()
    return (ApplyStatus({**wanted.to_json(), **_taken_over(run)}),)


def end(
    snapshot: Snapshot, state: RunState, reason: str, message: str, *, ready: ClusterReady | None = None
) -> Actions:
    """End the run: write the status, delete the cluster, record an Event.

    If the agent has not reported the end, its part of the status is taken over and closed.
    """
    run = snapshot.run
    retained = snapshot.cluster is not None and retains_cluster(snapshot, state)
    returned = snapshot.cluster is not None and not retained
    if ready is None and _is_outdated(snapshot):
        ready = DELETED_CLUSTER if returned else diagnosis.READY if run.report.is_claimed else None
    times_told = {"completion_time": snapshot.now}
    if run.report.is_claimed and run.status.start_time is None:
        # It was claimed and finished between two reconciles.
        times_told["start_time"] = snapshot.now
    (applied,) = write(snapshot, state, reason, message, ready=ready, **times_told)
    assert isinstance(applied, ApplyStatus)  # noqa: S101  a run that has not ended cannot have this status
    document = {**applied.status, **_closed_report(snapshot, state, reason, message)}
    event = RecordEvent("Normal" if state is RunState.SUCCESS else "Warning", reason, message)
    return (ApplyStatus(document), *(() if retained else delete_cluster(snapshot)), event)


def _is_outdated(snapshot: Snapshot) -> bool:
    """Return whether ClusterReady is outdated in the status of an ended run.

    A problem stays, unless the agent reported the end of the run.
    """
    said, report = cluster_ready(snapshot.run.status), snapshot.run.report
    has_reported = report.is_claimed and report.state in _REPORTED
    return snapshot.cluster is not None and (said.ready or not is_problem(said.reason) or has_reported)


def delete_cluster(snapshot: Snapshot) -> Actions:
    """Delete the run's Role. It owns the DaskCluster and what its pods need, so Kubernetes deletes these too.

    Nothing is deleted for a run that was given no cluster: what has its names may be somebody else's.
    """
    return (DeleteRole(),) if snapshot.run.status.cluster is not None else ()


def cluster_ready(status: FlowRunStatus) -> ClusterReady:
    """Return the current condition ClusterReady."""
    condition = status.condition(ConditionType.CLUSTER_READY)
    if condition is None:
        return NO_CLUSTER
    return ClusterReady(condition.status == "True", condition.reason, condition.message)


def retains_cluster(snapshot: Snapshot, state: RunState) -> bool:
    """Return whether the cluster of a run with this final state is retained."""
    return state in (RunState.FAILED, RunState.CRASHED) and times(snapshot).retain_after_failure > timedelta(0)


def retained_until(snapshot: Snapshot) -> datetime:
    """Return until when the cluster of an ended run is retained; now or earlier means not any longer."""
    status = snapshot.run.status
    if status.completion_time is None:
        return snapshot.now
    if status.state not in (RunState.FAILED, RunState.CRASHED):
        return status.completion_time
    return status.completion_time + times(snapshot).retain_after_failure


def _taken_over(run: RunView) -> dict[str, Any]:
    """Return the agent's part if the operator owns it: an apply without it would remove it."""
    if not run.owns_report:
        return {}
    return {"flow": dict(run.report.flow), "tasks": [dict(task) for task in run.report.tasks]}


_REPORTED = {FlowState.SUCCESS, FlowState.FAILED, FlowState.CANCELLED, FlowState.CRASHED}
_FLOW_REASONS = frozenset(reason.value for reason in FlowReason)


def _closed_report(snapshot: Snapshot, state: RunState, reason: str, message: str) -> dict[str, Any]:
    report = snapshot.run.report
    if not report.flow or report.state in _REPORTED:
        return {}
    return close_report(
        report.flow,
        report.tasks,
        end=FlowState(state.value),
        reason=FlowReason(reason) if reason in _FLOW_REASONS else FlowReason.CLUSTER_LOST,
        message=message,
    )


def is_problem(reason: str) -> bool:
    """Return whether a reason of ClusterReady is a problem, not only a delay."""
    return reason in {
        Reason.CLUSTER_NOT_READY,
        Reason.IMAGE_PULL_FAILED,
        Reason.UNSCHEDULABLE,
        Reason.QUOTA_EXCEEDED,
        Reason.AGENT_UNAVAILABLE,
    }
