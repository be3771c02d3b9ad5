"""Carry out what was decided, one action after the other."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from flowkiln.api import API_VERSION
from flowkiln_operator.controller.actions import (
    Action,
    Actions,
    ApplyStatus,
    CreateChild,
    CreateDaskCluster,
    DeleteDaskCluster,
    DeleteFlowRun,
    RecordEvent,
    RequeueAt,
)
from flowkiln_operator.controller.api import ApiError, KubernetesApi
from flowkiln_operator.controller.memory import Memory
from flowkiln_operator.controller.snapshot import RejectionKind, RunView, Snapshot
from flowkiln_operator.resources import dask_cluster, tls
from flowkiln_operator.resources.dask_cluster import ClusterConfig
from flowkiln_operator.resources.run import RunIdentity, is_controlled_by

logger = logging.getLogger(__name__)

COMPONENT = "flowkiln-operator"
CONFLICT = 409


class RejectedError(Exception):
    """The API server does not let the controller create something, and asking again at once would not help."""

    def __init__(self, kind: RejectionKind, message: str) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message


async def apply(
    api: KubernetesApi, memory: Memory, cluster_config: ClusterConfig, snapshot: Snapshot, actions: Actions
) -> datetime | None:
    """Carry out the actions in their order; return when to look at the run again, if they say so.

    Raises ApiError when the API server cannot do it now, or when the FlowRun has changed since the snapshot (409):
    the caller looks again and decides anew. A refusal that stands in the run's way is remembered for the next decision.
    """
    run = snapshot.run
    again: list[datetime] = []
    created = False
    for action in actions:
        try:
            match action:
                case RequeueAt(time):
                    again.append(time)
                case _:
                    await _carry_out(api, memory, cluster_config, run, action)
                    _log(run, action)
        except RejectedError as rejection:
            logger.warning("the API server refused: %s", rejection.message)
            memory.record_rejection(run.identity, rejection.kind, rejection.message, snapshot.now)
            # The next decision tells of it, and says when to try again.
            return snapshot.now
        created = created or isinstance(action, CreateDaskCluster)
    if created:
        memory.clear_rejection(run.identity)
    return _whole_second(min(again)) if again else None


def _whole_second(time: datetime) -> datetime:
    """Round up: a look is taken at whole seconds, and would find that the time has not come."""
    return time.replace(microsecond=0) + timedelta(seconds=1) if time.microsecond else time


def _log(run: RunView, action: Action) -> None:
    """Log what was done: a changed state at level INFO, the rest for whoever wants to know."""
    name = f"{run.identity.namespace}/{run.identity.name}"
    match action:
        case ApplyStatus(status) if status["state"] != run.status.state:
            logger.info("the run is %s", status["state"], extra={"run": name, "before": run.status.state})
        case _:
            logger.debug("done: %s", type(action).__name__, extra={"run": name})


async def _carry_out(
    api: KubernetesApi, memory: Memory, cluster_config: ClusterConfig, run: RunView, action: Action
) -> None:
    identity = run.identity
    match action:
        case CreateChild(manifest):
            await _create_child(api, identity, manifest)
        case CreateDaskCluster(number, fixed):
            secret = memory.tls_secret(identity) or await _create_tls_secret(api, memory, identity, number)
            manifest = dask_cluster.dask_cluster(
                identity, number, fixed, tls_secret=secret, cluster_config=cluster_config
            )
            await _create_child(api, identity, manifest)
        case ApplyStatus(status):
            await api.apply_status(_status_manifest(run, status))
        case DeleteDaskCluster(name, uid):
            await api.delete(dask_cluster.API_VERSION, dask_cluster.KIND, identity.namespace, name, uid=uid)
        case DeleteFlowRun():
            await api.delete(API_VERSION, "FlowRun", identity.namespace, identity.name, uid=identity.uid)
        case RecordEvent(type, reason, message):
            await _record(api, identity, type, reason, message)
        case RequeueAt():
            raise AssertionError("a RequeueAt is not carried out but returned")


async def _create_tls_secret(api: KubernetesApi, memory: Memory, run: RunIdentity, number: int) -> str:
    cluster_name = run.cluster_name(number)
    name = tls.secret_name(cluster_name)
    certificates = tls.issue(cluster_name, now=datetime.now(UTC))
    await _create_child(api, run, tls.tls_secret(run, name, certificates))
    memory.keep_tls_secret(run, name)
    return name


async def _create_child(api: KubernetesApi, run: RunIdentity, manifest: Mapping[str, Any]) -> None:
    kind, name = manifest["kind"], manifest["metadata"]["name"]
    try:
        await api.create(manifest)
    except ApiError as error:
        if error.status == CONFLICT:
            await _check_owner(api, run, manifest)
        elif error.status == 403 and "exceeded quota" in error.message:
            raise RejectedError(RejectionKind.QUOTA, error.message) from error
        elif error.status in (400, 403, 422):
            message = f"The {kind} {name} cannot be created: {error.message}"
            raise RejectedError(RejectionKind.REFUSED, message) from error
        else:
            raise


async def _check_owner(api: KubernetesApi, run: RunIdentity, manifest: Mapping[str, Any]) -> None:
    """Accept an object that is there already only if it is the run's own and stays."""
    kind, name = manifest["kind"], manifest["metadata"]["name"]
    found = await api.get(manifest["apiVersion"], kind, run.namespace, name)
    if found is None:
        raise ApiError(CONFLICT, "Conflict", f"the {kind} {name} was there and is gone")
    if not is_controlled_by(found, run.uid):
        message = f"There is a {kind} {name} already that does not belong to this run."
        raise RejectedError(RejectionKind.NAME_TAKEN, message)
    if "deletionTimestamp" in found["metadata"]:
        raise RejectedError(RejectionKind.REFUSED, f"The {kind} {name} is still being deleted.")


def _status_manifest(run: RunView, status: Mapping[str, Any]) -> dict[str, Any]:
    identity = run.identity
    return {
        "apiVersion": API_VERSION,
        "kind": "FlowRun",
        "metadata": {
            "name": identity.name,
            "namespace": identity.namespace,
            # Decided on this version: a report that came since must be looked at first.
            "resourceVersion": run.resource_version,
        },
        "status": dict(status),
    }


async def _record(api: KubernetesApi, run: RunIdentity, type: str, reason: str, message: str) -> None:
    time = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    event = {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"generateName": f"{run.base}.", "namespace": run.namespace},
        "involvedObject": {
            "apiVersion": API_VERSION,
            "kind": "FlowRun",
            "namespace": run.namespace,
            "name": run.name,
            "uid": run.uid,
        },
        "type": type,
        "reason": reason,
        "message": message,
        "source": {"component": COMPONENT},
        "reportingComponent": COMPONENT,
        "firstTimestamp": time,
        "lastTimestamp": time,
        "count": 1,
    }
    try:
        await api.create(event)
    except ApiError as error:
        # A run must not hang on an Event.
        logger.warning("could not record an Event: %s", error.message)
