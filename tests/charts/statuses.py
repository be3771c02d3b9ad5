"""FlowRuns in every state, with the conditions that the operator writes."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from flowkiln.api.reasons import Reason, RunState
from flowkiln_operator.controller.conditions import ClusterReady, conditions

NOW = datetime(2026, 1, 1, tzinfo=UTC)

REASONS: Mapping[RunState, tuple[Reason, ...]] = {
    RunState.SCHEDULED: (Reason.WAITING_FOR_START_TIME, Reason.FLOW_NOT_FOUND),
    RunState.PENDING: (Reason.CLUSTER_STARTING, Reason.FLOW_NOT_FOUND),
    RunState.RUNNING: (Reason.RUNNING,),
    RunState.PAUSED: (Reason.WAITING_FOR_INPUT,),
    RunState.SUCCESS: (Reason.SUCCEEDED,),
    RunState.FAILED: (
        Reason.TASK_FAILED,
        Reason.INVALID_SPEC,
        Reason.FLOW_LOAD_FAILED,
        Reason.TIMED_OUT,
        Reason.START_DEADLINE_EXCEEDED,
    ),
    RunState.CRASHED: (
        Reason.CLUSTER_NOT_READY,
        Reason.IMAGE_PULL_FAILED,
        Reason.UNSCHEDULABLE,
        Reason.QUOTA_EXCEEDED,
        Reason.CLUSTER_LOST,
        Reason.PLAN_CHANGED,
        Reason.AGENT_UNAVAILABLE,
        Reason.AGENT_VERSION,
        Reason.NAME_CONFLICT,
    ),
    RunState.CANCELLED: (Reason.TERMINATED,),
}
"""The reasons with which a run may be in a state."""

STATES = [(state, reason) for state, reasons in REASONS.items() for reason in reasons]


def flow_run(state: RunState, reason: Reason, *, cluster_is_ready: bool, generation: int = 1) -> dict[str, Any]:
    """Return a FlowRun as the API server has it; `generation` is that of its spec, its status is about the first."""
    written = conditions(
        (),
        state,
        reason=reason,
        message="a sentence",
        cluster=ClusterReady(cluster_is_ready, "Ready" if cluster_is_ready else "NotCreated", ""),
        generation=1,
        now=NOW,
    )
    return {
        "apiVersion": "flowkiln.dev/v1alpha1",
        "kind": "FlowRun",
        "metadata": {"name": "run", "namespace": "default", "generation": generation},
        "spec": {"flowRef": {"name": "flow"}},
        "status": {
            "observedGeneration": 1,
            "state": state.value,
            "conditions": [condition.to_json() for condition in written],
        },
    }
