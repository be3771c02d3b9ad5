"""Diagnose a run's cluster from its pods and Deployments."""

from __future__ import annotations

from datetime import datetime, timedelta

from flowkiln.api.reasons import ClusterReadyReason, Reason
from flowkiln_operator.controller.conditions import ClusterReady
from flowkiln_operator.controller.snapshot import ContainerView, PodView, Snapshot

READY = ClusterReady(True, ClusterReadyReason.READY, "The engine has claimed the run and has its workers.")
NO_WORKERS = ClusterReady(False, Reason.CLUSTER_NOT_READY, "No worker is ready.")
NO_PODS_AFTER = timedelta(seconds=15)
NO_PODS = ClusterReady(
    False,
    Reason.CLUSTER_NOT_READY,
    "The DaskCluster has no pods: check whether the controller of dask-kubernetes is running.",
)
CRASH_LOOP_RESTARTS = 3

_IMAGE_REASONS = frozenset(
    {
        "ErrImagePull",
        "ImagePullBackOff",
        "InvalidImageName",
        "ErrImageNeverPull",
        "ImageInspectError",
        "RegistryUnavailable",
    }
)
_QUOTA = ("exceeded quota", "failed quota")
"""Messages of the API server about pods that exceed a quota, or lack requests or limits that it requires."""
_NORMAL_WAITING = frozenset({"", "ContainerCreating", "PodInitializing"})


def problem(snapshot: Snapshot) -> ClusterReady | None:
    """Return the first problem, of the scheduler pod before the workers; None if there is none."""
    pods = sorted(snapshot.pods, key=lambda pod: (not pod.is_scheduler, pod.name))
    for pod in pods:
        if not pod.deleting and (found := _pod_problem(pod, snapshot.now)):
            return found
    for failure in snapshot.replica_failures:
        reason = Reason.QUOTA_EXCEEDED if any(words in failure for words in _QUOTA) else Reason.CLUSTER_NOT_READY
        return ClusterReady(False, reason, failure)
    cluster = snapshot.cluster
    if not pods and cluster is not None and snapshot.now >= cluster.created + NO_PODS_AFTER:
        return NO_PODS
    return None


def is_crash_looping(container: ContainerView) -> bool:
    """Return whether Kubernetes backs off before it restarts the container."""
    return container.waiting == "CrashLoopBackOff" and container.restarts >= CRASH_LOOP_RESTARTS


def describe(pod: PodView, container: ContainerView) -> str:
    """Return a sentence about a container that does not run."""
    ended = container.ended or container.waiting or "not ready"
    code = f", exit code {container.exit_code}" if container.exit_code is not None else ""
    count = "once" if container.restarts == 1 else f"{container.restarts} times"
    times = f", restarted {count}" if container.restarts else ""
    what = "was restarted just now" if container.ready else "does not run"
    return f"The container {container.name} of pod {pod.name} {what} ({ended}{code}{times})."


def _pod_problem(pod: PodView, now: datetime) -> ClusterReady | None:
    if pod.unschedulable:
        return ClusterReady(False, Reason.UNSCHEDULABLE, f"The pod {pod.name} cannot be scheduled: {pod.unschedulable}")
    return next(filter(None, (_container_problem(pod, container, now) for container in pod.containers)), None)


def _container_problem(pod: PodView, container: ContainerView, now: datetime) -> ClusterReady | None:
    if container.waiting in _IMAGE_REASONS:
        text = f"The image of container {container.name} in pod {pod.name} cannot be pulled: {container.message}"
        return ClusterReady(False, Reason.IMAGE_PULL_FAILED, text)
    if _keeps_ending(container, stable=pod.is_stable(now)):
        reason = Reason.AGENT_UNAVAILABLE if container.name == "agent" else Reason.CLUSTER_NOT_READY
        return ClusterReady(False, reason, describe(pod, container))
    if container.waiting in _NORMAL_WAITING:
        return None
    text = f"The container {container.name} of pod {pod.name} cannot start: {container.waiting}, {container.message}"
    return ClusterReady(False, Reason.CLUSTER_NOT_READY, text)


def _keeps_ending(container: ContainerView, *, stable: bool) -> bool:
    """Return whether the container has ended and not recovered, even while it is being restarted."""
    if container.waiting == "CrashLoopBackOff":
        return True
    return bool(container.ended) and container.waiting in _NORMAL_WAITING and not (container.ready and stable)
