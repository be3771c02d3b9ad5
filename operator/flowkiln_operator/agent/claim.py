"""Decide from the FlowRun whether this agent may claim the run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from flowkiln.api.plan import PlanRun
from flowkiln.api.reasons import TERMINAL_STATES
from flowkiln_operator.agent.projection.flow_status import Holder
from flowkiln_operator.status.reading import is_over

_TERMINAL = frozenset(str(state) for state in TERMINAL_STATES)


@dataclass(frozen=True, slots=True)
class Refused:
    """This agent must not claim the run; `why` is for the log."""

    why: str


class Start(Enum):
    """How a claimed run starts."""

    FRESH = "fresh"
    """No task run was ever submitted to Dask."""
    SAME_CLUSTER = "same cluster"
    """An earlier engine process drove it on the same scheduler."""
    NEW_CLUSTER = "new cluster"
    """It ran on another scheduler, which is gone."""


@dataclass(frozen=True, slots=True)
class Claimed:
    """The claim of this agent, and the previous status."""

    attempt: int
    start: Start
    flow: Mapping[str, Any] | None
    """`status.flow` as it was read."""
    tasks: list[Any]
    """`status.tasks` as it was read."""
    resource_version: str


def decide_claim(
    flow_run: Mapping[str, Any], *, run: PlanRun, cluster_number: int, holder: Holder
) -> Claimed | Refused:
    """Decide from the FlowRun, the run of the plan, the number of this cluster and this holder."""
    metadata = flow_run.get("metadata") or {}
    status = flow_run.get("status") or {}
    flow = status.get("flow") or None
    if refusal := gone(metadata, run.uid) or _superseded(status, cluster_number):
        return Refused(refusal)
    if flow is not None and flow.get("state") in _TERMINAL:
        return Refused(f"the run was reported as {flow['state']} before")
    attempt, start = _attempt(flow, holder)
    return Claimed(attempt, start, flow, list(status.get("tasks") or []), str(metadata.get("resourceVersion", "")))


def gone(metadata: Mapping[str, Any], uid: str) -> str | None:
    """Return why a FlowRun with this metadata is not, or no longer, the one with `uid`; None if it is."""
    if metadata.get("uid") != uid:
        return f"the FlowRun is another one of the same name (uid {metadata.get('uid')}, expected {uid})"
    if metadata.get("deletionTimestamp"):
        return "the FlowRun is being deleted"
    return None


def lost(flow_run: Mapping[str, Any], *, run: PlanRun, cluster_number: int, holder: Holder) -> str | None:
    """Return why this agent no longer holds the run, according to the FlowRun; None if it does."""
    status = flow_run.get("status") or {}
    if reason := gone(flow_run.get("metadata") or {}, run.uid) or _superseded(status, cluster_number):
        return reason
    if (status.get("flow") or {}).get("holder") != holder.document():
        return "another engine process has claimed the run"
    return None


def _superseded(status: Mapping[str, Any], cluster_number: int) -> str | None:
    if is_over(status):
        return f"the run is over: {status['state']}"
    newest = (status.get("cluster") or {}).get("number")
    if isinstance(newest, int) and newest > cluster_number:
        return f"the run has cluster {newest} by now, and this is cluster {cluster_number}"
    return None


def _attempt(flow: Mapping[str, Any] | None, holder: Holder) -> tuple[int, Start]:
    if flow is None or not flow.get("holder"):
        return 1, Start.FRESH
    attempt = flow.get("attempt")
    attempt = attempt if isinstance(attempt, int) else 1
    begun = bool(flow.get("runCount"))
    if flow["holder"].get("schedulerId") == holder.scheduler_id:
        return attempt, Start.SAME_CLUSTER if begun else Start.FRESH
    return attempt + 1, Start.NEW_CLUSTER if begun else Start.FRESH
