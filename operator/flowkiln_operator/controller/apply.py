"""Carry out actions in order, except that the objects of a run are created concurrently."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Coroutine, Iterator, Mapping, Sequence
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
    DeleteRole,
    RecordEvent,
    RequeueAt,
)
from flowkiln_operator.controller.api import ApiError, KubernetesApi
from flowkiln_operator.controller.memory import Memory
from flowkiln_operator.controller.snapshot import RejectionKind, RunView, Snapshot
from flowkiln_operator.resources import dask_cluster, tls
from flowkiln_operator.resources.dask_cluster import ClusterConfig
from flowkiln_operator.resources.run import RBAC_GROUP, RunIdentity, is_controlled_by, owned_by_role
from flowkiln_operator.status.text import timestamp

logger = logging.getLogger(__name__)

COMPONENT = "flowkiln-operator"
CONFLICT = 409


class RejectedError(Exception):
    """The API server rejected the creation of an object, and an immediate retry would not help."""

    def __init__(self, kind: RejectionKind, message: str) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message


async def apply(
    api: KubernetesApi, memory: Memory, cluster_config: ClusterConfig, snapshot: Snapshot, actions: Actions
) -> datetime | None:
    """Carry out the actions in order; return when to reconcile the run again, if they say so.

    Consecutive CreateChild actions run concurrently, together with the creation of the DaskCluster's Secret.

    Raise ApiError when the API server cannot do it now, or when the FlowRun has changed since the snapshot (409): the
    caller reconciles again. A rejection is stored for the next decision.
    """
    run = snapshot.run
    try:
        for children, action in _steps(actions):
            if children:
                await _create_children(api, memory, run, children, actions)
            if action is not None:
                await _carry_out(api, memory, cluster_config, run, action)
                _log(run, action)
    except RejectedError as rejection:
        logger.warning("the API server refused: %s", rejection.message)
        memory.record_rejection(run.identity, rejection.kind, rejection.message, snapshot.now)
        # The next decision reports it and sets the time of the retry.
        return snapshot.now
    if any(isinstance(action, CreateDaskCluster) for action in actions):
        memory.clear_rejection(run.identity)
    again = [action.time for action in actions if isinstance(action, RequeueAt)]
    return _whole_second(min(again)) if again else None


def _steps(actions: Actions) -> Iterator[tuple[list[CreateChild], Action | None]]:
    """Yield the steps in order: objects to create concurrently, then one other action."""
    children: list[CreateChild] = []
    for action in actions:
        match action:
            case CreateChild():
                children.append(action)
            case RequeueAt():
                pass
            case _:
                yield children, action
                children = []
    if children:
        yield children, None


def _whole_second(moment: datetime) -> datetime:
    """Round up: reconciles use whole seconds, so an earlier one would find that the time has not come."""
    return moment.replace(microsecond=0) + timedelta(seconds=1) if moment.microsecond else moment


def _log(run: RunView, action: Action) -> None:
    """Log the actions: a changed state at level INFO, the others at DEBUG."""
    name = f"{run.identity.namespace}/{run.identity.name}"
    match action:
        case ApplyStatus(status) if status["state"] != run.status.state:
            logger.info("the run is %s", status["state"], extra={"run": name, "before": run.status.state})
        case _:
            logger.debug("done: %s", type(action).__name__, extra={"run": name})


async def _create_children(
    api: KubernetesApi, memory: Memory, run: RunView, children: Sequence[CreateChild], actions: Actions
) -> None:
    """Create these objects concurrently, the Role before those that it owns. (A RoleBinding is refused before it, too.)

    Raises the first error after all have been tried.
    """
    identity = run.identity
    waiting = [child for child in children if child.of_role]
    if waiting:
        others = [child for child in children if not child.of_role]
        await _create_children(api, memory, run, others, ())
        await _role_uid(api, memory, identity)
        children = waiting
    work: list[Coroutine[Any, Any, None]] = [
        _create_child(api, memory, identity, child.manifest, of_role=child.of_role) for child in children
    ]
    cluster = next((action for action in actions if isinstance(action, CreateDaskCluster)), None)
    if cluster is not None and not memory.tls_secret(identity):
        work.append(_create_tls_secret(api, memory, identity, cluster.number))
    results = await asyncio.gather(*work, return_exceptions=True)
    errors = [result for result in results if isinstance(result, BaseException)]
    if errors:
        raise errors[0]
    for child in children:
        _log(run, child)


async def _carry_out(
    api: KubernetesApi, memory: Memory, cluster_config: ClusterConfig, run: RunView, action: Action
) -> None:
    identity = run.identity
    match action:
        case CreateDaskCluster(number, fixed):
            # The ConfigMap with this plan exists now, so no reconcile has to read it.
            memory.keep_plan(identity, fixed)
            if not memory.tls_secret(identity):
                await _create_tls_secret(api, memory, identity, number)
            secret = memory.tls_secret(identity)
            manifest = dask_cluster.dask_cluster(
                identity, number, fixed, tls_secret=secret, cluster_config=cluster_config
            )
            await _create_child(api, memory, identity, manifest, of_role=True)
        case ApplyStatus(status):
            await api.apply_status(_status_manifest(run, status))
        case DeleteDaskCluster(name, uid):
            await api.delete(dask_cluster.API_VERSION, dask_cluster.KIND, identity.namespace, name, uid=uid)
        case DeleteRole():
            await api.delete(f"{RBAC_GROUP}/v1", "Role", identity.namespace, identity.service_account)
        case DeleteFlowRun():
            await api.delete(API_VERSION, "FlowRun", identity.namespace, identity.name, uid=identity.uid)
        case RecordEvent(type, reason, message):
            await _record(api, identity, type, reason, message)
        case CreateChild() | RequeueAt():
            raise AssertionError("this action is not a separate step")


async def _create_tls_secret(api: KubernetesApi, memory: Memory, run: RunIdentity, number: int) -> None:
    cluster_name = run.cluster_name(number)
    name = tls.secret_name(cluster_name)
    certificates = tls.issue(cluster_name, now=datetime.now(UTC))
    await _create_child(api, memory, run, tls.tls_secret(run, name, certificates), of_role=True)
    memory.keep_tls_secret(run, name)


async def _role_uid(api: KubernetesApi, memory: Memory, run: RunIdentity) -> str:
    """Return the uid of the run's Role; empty when there is none."""
    if not memory.role(run):
        found = await api.get(f"{RBAC_GROUP}/v1", "Role", run.namespace, run.service_account)
        if found is not None and is_controlled_by(found, run):
            memory.keep_role(run, found["metadata"]["uid"])
    return memory.role(run)


async def _create_child(
    api: KubernetesApi, memory: Memory, run: RunIdentity, manifest: Mapping[str, Any], *, of_role: bool = False
) -> None:
    kind, name = manifest["kind"], manifest["metadata"]["name"]
    is_plan = (kind, name) == ("ConfigMap", run.plan_name)
    if of_role and (role := await _role_uid(api, memory, run)):
        manifest = owned_by_role(manifest, run, role)
    try:
        created = await api.create(manifest)
    except ApiError as error:
        if error.status == CONFLICT:
            await _check_owner(api, run, manifest)
            if is_plan:
                # It may contain another plan. The plan that was created first counts.
                memory.note_plan(run)
                raise
        elif error.status == 403 and "exceeded quota" in error.message:
            raise RejectedError(RejectionKind.QUOTA, error.message) from error
        elif error.status in (400, 403, 422):
            message = f"The {kind} {name} cannot be created: {error.message}"
            raise RejectedError(RejectionKind.REFUSED, message) from error
        else:
            raise
    else:
        if is_plan:
            memory.note_plan(run)
        if kind == "Role":
            memory.keep_role(run, created["metadata"]["uid"])


async def _check_owner(api: KubernetesApi, run: RunIdentity, manifest: Mapping[str, Any]) -> None:
    """Accept an existing object only if it belongs to the run and is not being deleted."""
    kind, name = manifest["kind"], manifest["metadata"]["name"]
    found = await api.get(manifest["apiVersion"], kind, run.namespace, name)
    if found is None:
        raise ApiError(CONFLICT, "Conflict", f"the {kind} {name} was there and is gone")
    if not is_controlled_by(found, run):
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
            # The decision is based on this version: a later report must be considered first.
            "resourceVersion": run.resource_version,
        },
        "status": dict(status),
    }


async def _record(api: KubernetesApi, run: RunIdentity, type: str, reason: str, message: str) -> None:
    now = timestamp(time.time())
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
        "firstTimestamp": now,
        "lastTimestamp": now,
        "count": 1,
    }
    try:
        await api.create(event)
    except ApiError as error:
        # A failed Event must not block the run.
        logger.warning("could not record an Event: %s", error.message)
