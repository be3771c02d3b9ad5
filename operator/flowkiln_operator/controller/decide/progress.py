"""Follow a claimed run, and end it if it exceeds its timeout or its engine does not answer."""

from __future__ import annotations

from datetime import datetime, timedelta

from flowkiln.api.reasons import FlowState, Reason, RunState
from flowkiln_operator.controller.actions import Actions, RequeueAt
from flowkiln_operator.controller.conditions import ClusterReady
from flowkiln_operator.controller.decide.times import times
from flowkiln_operator.controller.snapshot import STABLE_AFTER, ContainerView, PodView, Snapshot, has_ready_worker

from . import cluster, diagnosis, outcome

UNREADY_REPORTED_AFTER = timedelta(seconds=10)
UNREADY_ENDED_AFTER = timedelta(seconds=30)
LOOK_AGAIN = timedelta(seconds=60)

_WAITING = "Nothing is running: the flow waits until its paused tasks are resumed."
_RUNNING = "The flow is running."


def time_out(snapshot: Snapshot) -> Actions | None:
    """End a run that has taken longer than its timeout."""
    due = _time_out_at(snapshot)
    if due is None or snapshot.now < due:
        return None
    message = f"The run took longer than its timeout of {times(snapshot).timeout}."
    return outcome.end(snapshot, RunState.FAILED, Reason.TIMED_OUT, message)


def follow(snapshot: Snapshot) -> Actions | None:
    """Report the agent's state and the cluster's health, and requeue in time."""
    run = snapshot.run
    started = run.status.start_time or snapshot.now
    holder = next(pod for pod in snapshot.pods if pod.uid == run.report.pod_uid)
    unhealthy = _find_unhealthy(holder, started)
    if unhealthy is not None and _is_unrecoverable(snapshot.now, unhealthy):
        return _end_unhealthy(snapshot, holder, unhealthy)
    ready = _cluster_ready(snapshot, holder, unhealthy)
    until = cluster.worker_deadline(snapshot)
    if not ready.ready and until is not None and snapshot.now >= until:
        return cluster.end_unready(snapshot, ready)
    state, reason, message = _state(snapshot)
    written = outcome.write(snapshot, state, reason, message, ready=ready, start_time=started)
    return (*written, RequeueAt(_next_look(snapshot, unhealthy, None if ready.ready else until)))


def _state(snapshot: Snapshot) -> tuple[RunState, Reason, str]:
    if snapshot.run.report.state is FlowState.PAUSED:
        return RunState.PAUSED, Reason.WAITING_FOR_INPUT, _WAITING
    return RunState.RUNNING, Reason.RUNNING, _RUNNING


_Unhealthy = tuple[ContainerView, datetime]
"""A container of the scheduler pod that is not ready, and since when."""


def _find_unhealthy(holder: PodView, started: datetime) -> _Unhealthy | None:
    """Return the unready container of the scheduler pod. Before the run has started, slow probes are normal."""
    if holder.ready or holder.ready_changed is None:
        return None
    # The agent first: it knows more about a restarted scheduler.
    containers = sorted(holder.containers, key=lambda container: container.name)
    unready = next((container for container in containers if not container.ready), None)
    return (unready, max(holder.ready_changed, started)) if unready else None


def _is_unrecoverable(now: datetime, unhealthy: _Unhealthy) -> bool:
    container, since = unhealthy
    return now >= since + UNREADY_ENDED_AFTER or diagnosis.is_crash_looping(container)


def _end_unhealthy(snapshot: Snapshot, holder: PodView, unhealthy: _Unhealthy) -> Actions:
    container, _ = unhealthy
    reason = Reason.AGENT_UNAVAILABLE if container.name == "agent" else Reason.CLUSTER_LOST
    message = diagnosis.describe(holder, container)
    return outcome.end(
        snapshot, RunState.CRASHED, reason, message, ready=ClusterReady(False, Reason.CLUSTER_NOT_READY, message)
    )


def _cluster_ready(snapshot: Snapshot, holder: PodView, unhealthy: _Unhealthy | None) -> ClusterReady:
    if unhealthy is not None and snapshot.now >= unhealthy[1] + UNREADY_REPORTED_AFTER:
        return ClusterReady(False, Reason.CLUSTER_NOT_READY, diagnosis.describe(holder, unhealthy[0]))
    if has_ready_worker(snapshot.pods, snapshot.now):
        return diagnosis.READY
    if (problem := diagnosis.problem(snapshot)) is not None:
        return problem
    return diagnosis.READY if snapshot.now < _workers_due(snapshot) else diagnosis.NO_WORKERS


def _workers_due(snapshot: Snapshot) -> datetime:
    """Return from when on missing ready workers are reported: they start later than the scheduler."""
    return (snapshot.run.status.start_time or snapshot.now) + UNREADY_REPORTED_AFTER


def _next_look(snapshot: Snapshot, unhealthy: _Unhealthy | None, until: datetime | None) -> datetime:
    moments = [snapshot.now + LOOK_AGAIN, _time_out_at(snapshot), _workers_due(snapshot), until]
    moments += [pod.ready_changed + STABLE_AFTER for pod in snapshot.pods if pod.ready and pod.ready_changed]
    if unhealthy is not None:
        moments += [unhealthy[1] + UNREADY_REPORTED_AFTER, unhealthy[1] + UNREADY_ENDED_AFTER]
    return min(moment for moment in moments if moment is not None and moment > snapshot.now)


def _time_out_at(snapshot: Snapshot) -> datetime | None:
    timeout, started = times(snapshot).timeout, snapshot.run.status.start_time
    return started + timeout if timeout is not None and started is not None else None
