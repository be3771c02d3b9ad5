"""Delete the cluster of an ended run when it is due, and the run itself after its ttlAfterFinished."""

from __future__ import annotations

from datetime import datetime, timedelta

from flowkiln.api.effective import run_times
from flowkiln.api.reasons import ConditionType, RunState
from flowkiln_operator.controller.actions import Actions, DeleteDaskCluster, DeleteFlowRun, RequeueAt
from flowkiln_operator.controller.snapshot import Snapshot

from . import outcome

TIME_TO_DELETE = timedelta(seconds=10)
"""How long Kubernetes may take to delete a DaskCluster whose owner is gone."""


def clean_up(snapshot: Snapshot) -> Actions | None:
    """Return the remaining actions for an ended run; None if it has not ended."""
    state = snapshot.run.status.state
    if state is None or not state.is_terminal:
        return None
    return (*_settle(snapshot, state), *_delete_when_due(snapshot))


def _settle(snapshot: Snapshot, state: RunState) -> Actions:
    run = snapshot.run
    finished = run.status.condition(ConditionType.FINISHED)
    reason, message = (finished.reason, finished.message) if finished else (state.value, "")
    until = outcome.retained_until(snapshot)
    retained = snapshot.cluster is not None and until > snapshot.now
    returned = outcome.cluster_ready(run.status).ready and not retained
    ready = outcome.DELETED_CLUSTER if returned else None
    written = outcome.write(snapshot, state, reason, message, ready=ready)
    if retained:
        return (*written, RequeueAt(until))
    return (*written, *(outcome.delete_cluster(snapshot) if written else ()), *_see_to_deletion(snapshot, until))


def _see_to_deletion(snapshot: Snapshot, until: datetime) -> Actions:
    """Delete a DaskCluster itself that is still there a while after the Role, its owner, was to go."""
    cluster = snapshot.cluster
    if cluster is None or cluster.deleting or not cluster.owned:
        return ()
    due = until + TIME_TO_DELETE
    if snapshot.now < due:
        return (RequeueAt(due),)
    return (*outcome.delete_cluster(snapshot), DeleteDaskCluster(cluster.name, cluster.uid))


def _delete_when_due(snapshot: Snapshot) -> Actions:
    run = snapshot.run
    kept = run_times(run.spec).ttl_after_finished if run.spec else None
    if kept is None or run.status.completion_time is None:
        return ()
    due = run.status.completion_time + kept
    return (DeleteFlowRun(),) if due <= snapshot.now else (RequeueAt(due),)
