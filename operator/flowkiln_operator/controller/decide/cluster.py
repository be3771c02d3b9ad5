"""Check the run's Dask cluster: its existence, its start, and the claimed scheduler pod."""

from __future__ import annotations

from datetime import datetime, timedelta

from flowkiln.api.reasons import ConditionType, Reason, RunState
from flowkiln_operator.controller.actions import Actions, RequeueAt
from flowkiln_operator.controller.conditions import ClusterReady
from flowkiln_operator.controller.snapshot import PodView, Snapshot

from . import diagnosis, outcome, start
from .times import times

LOOK_AGAIN = timedelta(seconds=5)


def end_when_lost(snapshot: Snapshot) -> Actions | None:
    """End a run whose DaskCluster or claimed scheduler pod is gone, or whose DaskCluster belongs to somebody else."""
    name = snapshot.run.identity.cluster_name(start.FIRST_CLUSTER)
    cluster = snapshot.cluster
    if cluster is not None and not cluster.owned:
        message = f"There is a DaskCluster {cluster.name} already that does not belong to this run."
        return outcome.end(snapshot, RunState.CRASHED, Reason.NAME_CONFLICT, message)
    if cluster is None or cluster.deleting:
        return _lost(snapshot, f"The DaskCluster {name} was deleted while the run needed it.")
    report = snapshot.run.report
    if report.is_claimed and not any(_holds(pod, report.pod_uid) for pod in snapshot.pods):
        return _lost(snapshot, f"The scheduler pod of the DaskCluster {name} is gone, and with it the run's results.")
    return None


def wait_for_claim(snapshot: Snapshot) -> Actions | None:
    """Report the start of the cluster, and end the run if it takes too long; None once an agent has claimed the run."""
    cluster = snapshot.cluster
    if snapshot.run.report.is_claimed or cluster is None:
        return None
    deadline = cluster.created + times(snapshot).start_deadline
    problem = diagnosis.problem(snapshot)
    if snapshot.now >= deadline:
        return end_unready(snapshot, problem or _SILENT)
    written = outcome.write(
        snapshot, RunState.PENDING, Reason.CLUSTER_STARTING, start.MESSAGE, ready=problem or start.STARTING
    )
    return (*written, RequeueAt(min(deadline, snapshot.now + LOOK_AGAIN)))


def end_unready(snapshot: Snapshot, problem: ClusterReady) -> Actions:
    """End a run whose cluster did not come up within its startDeadline."""
    reason = problem.reason if outcome.is_problem(problem.reason) else Reason.CLUSTER_NOT_READY
    message = f"The cluster was not ready within its startDeadline. {problem.message}"
    return outcome.end(snapshot, RunState.CRASHED, reason, message, ready=ClusterReady(False, reason, problem.message))


def worker_deadline(snapshot: Snapshot) -> datetime | None:
    """Return until when a worker must be ready; None if one is, according to the status."""
    condition = snapshot.run.status.condition(ConditionType.CLUSTER_READY)
    cluster = snapshot.cluster
    if cluster is None or condition is None or condition.status == "True":
        return None
    return max(condition.last_transition_time, cluster.created) + times(snapshot).start_deadline


_SILENT = ClusterReady(
    False, Reason.CLUSTER_NOT_READY, "The engine in the scheduler pod has not claimed the run: check its logs."
)


def _lost(snapshot: Snapshot, message: str) -> Actions:
    return outcome.end(
        snapshot,
        RunState.CRASHED,
        Reason.CLUSTER_LOST,
        message,
        ready=ClusterReady(False, Reason.CLUSTER_LOST, message),
    )


def _holds(pod: PodView, uid: str) -> bool:
    return pod.uid == uid and not pod.deleting and pod.phase not in ("Failed", "Succeeded")
