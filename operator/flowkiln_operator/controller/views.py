"""Convert Kubernetes documents into values for decisions. Pure; tenant input is validated."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from flowkiln.api.flow_run import FlowRunSpec
from flowkiln.api.limits import MAX_UID
from flowkiln.api.names import CLASS_LABEL, OPERATOR_FIELD_MANAGER
from flowkiln.api.plan import PlanError
from flowkiln.api.reasons import FlowReason, FlowState
from flowkiln.api.validation import parse_flow_run_spec, parse_flow_spec
from flowkiln_operator.controller.snapshot import (
    ContainerView,
    DaskClusterView,
    FlowView,
    PlanProblem,
    PodView,
    Report,
    RunView,
)
from flowkiln_operator.resources.plan import PlanWithSources, read_plan_config_map
from flowkiln_operator.resources.run import RunIdentity, is_controlled_by
from flowkiln_operator.status.reading import REPORT_FIELDS, read_status
from flowkiln_operator.status.text import head

Document = Mapping[str, Any]


def run_spec(document: Document) -> tuple[FlowRunSpec | None, str]:
    """Read the spec of a FlowRun: None, and what is wrong with it, if that cannot be done. It costs the most of all."""
    spec, problems = parse_flow_run_spec(document.get("spec") or {})
    return spec, problems[0].sentence if problems else ""


def run_view(document: Document, read_spec: Callable[[Document], tuple[FlowRunSpec | None, str]] = run_spec) -> RunView:
    """Read a FlowRun. `read_spec` reads its spec, or remembers what was read."""
    metadata = document["metadata"]
    status = document.get("status") or {}
    spec, spec_error = read_spec(document)
    return RunView(
        identity=RunIdentity(metadata["namespace"], metadata["name"], metadata["uid"]),
        generation=metadata["generation"],
        resource_version=metadata["resourceVersion"],
        created=timestamp(metadata["creationTimestamp"]),
        deleting="deletionTimestamp" in metadata,
        run_class=(metadata.get("labels") or {}).get(CLASS_LABEL),
        spec=spec,
        spec_error=spec_error,
        status=read_status(status),
        report=report(status),
        owns_report=_owns_report(metadata),
    )


def report(status: Document) -> Report:
    """Read the agent's part of the status; invalid values count as absent."""
    flow = status.get("flow")
    if not isinstance(flow, Mapping):
        return Report()
    holder = flow.get("holder")
    uid = holder.get("podUID") if isinstance(holder, Mapping) else None
    message, attempt, tasks = flow.get("message"), flow.get("attempt"), status.get("tasks")
    return Report(
        state=next((state for state in FlowState if state.value == flow.get("state")), None),
        reason=next((reason for reason in FlowReason if reason.value == flow.get("reason")), None),
        message=head(message) if isinstance(message, str) else "",
        attempt=attempt if isinstance(attempt, int) else 0,
        pod_uid=uid if isinstance(uid, str) and len(uid) <= MAX_UID else "",
        flow=flow,
        tasks=tasks if isinstance(tasks, list) else (),
    )


def flow_view(document: Document) -> FlowView:
    """Read a Flow."""
    metadata = document["metadata"]
    spec, problems = parse_flow_spec(document.get("spec") or {})
    error = problems[0].sentence if problems else ""
    return FlowView(
        metadata["name"], metadata["generation"], inline=False, spec=spec, spec_error=error, uid=metadata["uid"]
    )


def inline_flow_view(run: RunView) -> FlowView | None:
    """Return the run's own flowSpec as a Flow; None when it refers to one."""
    if run.spec is None or run.spec.flow_spec is None:
        return None
    return FlowView(run.identity.name, run.generation, inline=True, spec=run.spec.flow_spec)


def plan_view(document: Document, run: RunIdentity) -> PlanWithSources | PlanProblem:
    """Read the ConfigMap with the name of the run's plan."""
    if not is_controlled_by(document, run):
        return PlanProblem.FOREIGN
    try:
        fixed = read_plan_config_map(document)
    except PlanError:
        return PlanProblem.UNREADABLE
    return fixed if fixed.plan.run.uid == run.uid else PlanProblem.UNREADABLE


def dask_cluster_view(document: Document, run: RunIdentity) -> DaskClusterView:
    """Read a DaskCluster."""
    metadata = document["metadata"]
    return DaskClusterView(
        name=metadata["name"],
        uid=metadata["uid"],
        created=timestamp(metadata["creationTimestamp"]),
        deleting="deletionTimestamp" in metadata,
        owned=is_controlled_by(document, run),
    )


def pod_view(document: Document) -> PodView:
    """Read a pod of a Dask cluster."""
    metadata, status = document["metadata"], document.get("status") or {}
    conditions = {condition["type"]: condition for condition in status.get("conditions") or ()}
    ready, scheduled = conditions.get("Ready", {}), conditions.get("PodScheduled", {})
    unschedulable = scheduled.get("status") == "False" and scheduled.get("reason") == "Unschedulable"
    changed = ready.get("lastTransitionTime")
    return PodView(
        name=metadata["name"],
        uid=metadata["uid"],
        component=(metadata.get("labels") or {}).get("dask.org/component", ""),
        phase=status.get("phase", ""),
        deleting="deletionTimestamp" in metadata,
        ready=ready.get("status") == "True",
        ready_changed=timestamp(changed) if changed else None,
        unschedulable=scheduled.get("message") or "Unschedulable" if unschedulable else "",
        containers=tuple(_container_view(container) for container in status.get("containerStatuses") or ()),
    )


def replica_failure(deployment: Document) -> str | None:
    """Return why a Deployment's pods cannot be created; None when they can."""
    for condition in (deployment.get("status") or {}).get("conditions") or ():
        if condition["type"] == "ReplicaFailure" and condition["status"] == "True":
            return condition.get("message") or "The pods cannot be created."
    return None


def timestamp(text: str) -> datetime:
    """Parse a Kubernetes timestamp."""
    return datetime.fromisoformat(text)


def _container_view(status: Document) -> ContainerView:
    state, last = status.get("state") or {}, status.get("lastState") or {}
    waiting = state.get("waiting") or {}
    ended = state.get("terminated") or last.get("terminated") or {}
    return ContainerView(
        name=status["name"],
        ready=bool(status.get("ready")),
        restarts=status.get("restartCount", 0),
        waiting=waiting.get("reason", ""),
        message=waiting.get("message", ""),
        exit_code=ended.get("exitCode"),
        ended=ended.get("reason", ""),
    )


def _owns_report(metadata: Document) -> bool:
    for entry in metadata.get("managedFields") or ():
        if entry.get("manager") == OPERATOR_FIELD_MANAGER and entry.get("subresource") == "status":
            fields = (entry.get("fieldsV1") or {}).get("f:status") or {}
            return any(f"f:{name}" in fields for name in REPORT_FIELDS)
    return False
