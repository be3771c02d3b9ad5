"""`status.flow`: where the run stands, in one state, one reason and one sentence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from flowkiln.api.reasons import FlowReason, FlowState
from flowkiln.states.kinds import SUCCESSES
from flowkiln_operator.agent.projection.table import Summary
from flowkiln_operator.agent.projection.text import head, timestamp


@dataclass(frozen=True, slots=True)
class Standing:
    """State, reason and message of the flow run."""

    state: FlowState
    reason: FlowReason
    message: str = ""

    @property
    def is_final(self) -> bool:
        """Whether the run is over for the agent."""
        return self.state not in (FlowState.RUNNING, FlowState.PAUSED)


@dataclass(frozen=True, slots=True)
class Holder:
    """The engine process that has claimed the run: the pod it is in, and the Dask scheduler it drives."""

    pod_uid: str
    scheduler_id: str

    def document(self) -> dict[str, str]:
        """As `status.flow.holder` has it."""
        return {"podUID": self.pod_uid, "schedulerId": self.scheduler_id}


def final_standing(state: str, message: str, first_failure: str = "") -> Standing:
    """How the run ended, from the final state of the flow run as the engine names it, and why, if a task failed."""
    match state:
        case _ if state in SUCCESSES:
            return Standing(FlowState.SUCCESS, FlowReason.SUCCEEDED, message)
        case "Cancelled":
            return Standing(FlowState.CANCELLED, FlowReason.TERMINATED, message)
        case "TimedOut":
            return Standing(FlowState.FAILED, FlowReason.TIMED_OUT, message)
        case "Crashed":
            return Standing(FlowState.CRASHED, FlowReason.CLUSTER_LOST, message)
        case _:
            told = f"{message} The first failure: {first_failure}" if first_failure else message
            return Standing(FlowState.FAILED, FlowReason.TASK_FAILED, told)


def current_standing(summary: Summary, *, engine_state: str) -> Standing:
    """Where a run stands that is not over, from its task runs and the flow run's state as the engine names it.

    Only the engine knows what Dask has been given and not begun, so it alone decides that the run is Paused.
    """
    if engine_state == "Paused":
        names = ", ".join(summary.paused)
        more = ", …" if len(summary.paused) < summary.counts.get("Paused", 0) else ""
        return Standing(FlowState.PAUSED, FlowReason.WAITING_FOR_INPUT, f"waiting for input: {names}{more}")
    return Standing(FlowState.RUNNING, FlowReason.RUNNING, _progress_message(summary))


def flow_document(
    standing: Standing, summary: Summary, *, run_count: int, attempt: int, holder: Holder
) -> dict[str, Any]:
    """`status.flow` in full, as it is applied."""
    return {
        "state": str(standing.state),
        "reason": str(standing.reason),
        "runCount": run_count,
        "message": head(standing.message),
        "progress": f"{summary.finished}/{summary.total}",
        "attempt": attempt,
        "holder": holder.document(),
        "counts": dict(summary.counts),
    }


def opening_document(previous: Mapping[str, Any] | None, *, attempt: int, holder: Holder) -> dict[str, Any]:
    """`status.flow` of a claim: as it was read, with attempt and holder changed."""
    opening: dict[str, Any] = {
        "state": str(FlowState.RUNNING),
        "reason": str(FlowReason.RUNNING),
        "runCount": 0,
        "message": "loading the flow",
    }
    return {**(previous or opening), "attempt": attempt, "holder": holder.document()}


def _progress_message(summary: Summary) -> str:
    parts = []
    if summary.running:
        parts.append(f"waiting for {summary.running} of {summary.total} task runs")
    if (due := summary.next_due) is not None:
        verb = "retried" if due.state == "Retrying" else "started"
        parts.append(f"{due.name} is {verb} at {timestamp(due.due)}")
    if not parts:
        left = summary.total - summary.finished
        parts.append(f"{left} of {summary.total} task runs are to start" if left else "finishing")
    return "; ".join(parts)
