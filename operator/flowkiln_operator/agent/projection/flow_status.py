"""`status.flow`: the summary of the run, in one state, one reason and one sentence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from flowkiln.api.reasons import FlowReason, FlowState
from flowkiln.states.kinds import SUCCESSES
from flowkiln_operator.agent.projection.table import RunCounts
from flowkiln_operator.status.text import head, timestamp


@dataclass(frozen=True, slots=True)
class RunSummary:
    """State, reason and message of the flow run."""

    state: FlowState
    reason: FlowReason
    message: str = ""


@dataclass(frozen=True, slots=True)
class Holder:
    """The engine process that has claimed the run: the pod it is in, and the Dask scheduler it drives."""

    pod_uid: str
    scheduler_id: str

    def document(self) -> dict[str, str]:
        """Return `status.flow.holder`."""
        return {"podUID": self.pod_uid, "schedulerId": self.scheduler_id}


def final_summary(state: str, message: str, first_failure: str = "") -> RunSummary:
    """Return the final summary from the engine's final state and, if a task failed, the first failure."""
    match state:
        case _ if state in SUCCESSES:
            return RunSummary(FlowState.SUCCESS, FlowReason.SUCCEEDED, message)
        case "Cancelled":
            return RunSummary(FlowState.CANCELLED, FlowReason.TERMINATED, message)
        case "TimedOut":
            return RunSummary(FlowState.FAILED, FlowReason.TIMED_OUT, message)
        case "Crashed":
            return RunSummary(FlowState.CRASHED, FlowReason.CLUSTER_LOST, message)
        case _:
            told = f"{message} The first failure: {first_failure}" if first_failure else message
            return RunSummary(FlowState.FAILED, FlowReason.TASK_FAILED, told)


def current_summary(counts: RunCounts, *, engine_state: str) -> RunSummary:
    """Return the summary of a run in progress, from its task runs and the engine's state of the flow run.

    Only the engine knows which task runs are submitted, so only the engine decides that the run is Paused.
    """
    if engine_state == "Paused":
        names = ", ".join(counts.paused)
        more = ", …" if len(counts.paused) < counts.by_state.get("Paused", 0) else ""
        return RunSummary(FlowState.PAUSED, FlowReason.WAITING_FOR_INPUT, f"waiting for input: {names}{more}")
    return RunSummary(FlowState.RUNNING, FlowReason.RUNNING, _progress_message(counts))


def flow_document(
    summary: RunSummary, counts: RunCounts, *, run_count: int, attempt: int, holder: Holder
) -> dict[str, Any]:
    """Return the complete `status.flow`."""
    return {
        "state": str(summary.state),
        "reason": str(summary.reason),
        "runCount": run_count,
        "message": head(summary.message),
        "progress": f"{counts.finished}/{counts.total}",
        "attempt": attempt,
        "holder": holder.document(),
        "counts": dict(counts.by_state),
    }


def opening_document(previous: Mapping[str, Any] | None, *, attempt: int, holder: Holder) -> dict[str, Any]:
    """Return `status.flow` of a claim: the previous one with a new attempt and holder."""
    opening: dict[str, Any] = {
        "state": str(FlowState.RUNNING),
        "reason": str(FlowReason.RUNNING),
        "runCount": 0,
        "message": "loading the flow",
    }
    return {**(previous or opening), "attempt": attempt, "holder": holder.document()}


def _progress_message(counts: RunCounts) -> str:
    parts = []
    if counts.running:
        parts.append(f"waiting for {counts.running} of {counts.total} task runs")
    if (due := counts.next_due) is not None:
        verb = "retried" if due.state == "Retrying" else "started"
        parts.append(f"{due.name} is {verb} at {timestamp(due.due)}")
    if not parts:
        left = counts.total - counts.finished
        parts.append(f"{left} of {counts.total} task runs are to start" if left else "finishing")
    return "; ".join(parts)
