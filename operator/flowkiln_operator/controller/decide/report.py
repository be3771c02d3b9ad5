"""Take over the agent's final report. It is tenant input: only known pairs of state and reason are accepted."""

from __future__ import annotations

from flowkiln.api.reasons import FlowReason, FlowState, Reason, RunState
from flowkiln_operator.controller.actions import Actions
from flowkiln_operator.controller.snapshot import Report, Snapshot

from . import outcome

_ENDS: dict[FlowState, tuple[RunState, Reason, frozenset[FlowReason]]] = {
    FlowState.SUCCESS: (RunState.SUCCESS, Reason.SUCCEEDED, frozenset()),
    FlowState.FAILED: (
        RunState.FAILED,
        Reason.TASK_FAILED,
        frozenset({FlowReason.FLOW_LOAD_FAILED, FlowReason.TIMED_OUT}),
    ),
    FlowState.CANCELLED: (RunState.CANCELLED, Reason.TERMINATED, frozenset()),
    FlowState.CRASHED: (
        RunState.CRASHED,
        Reason.CLUSTER_LOST,
        frozenset({FlowReason.PLAN_CHANGED, FlowReason.AGENT_VERSION}),
    ),
}
"""For each final state of the flow: the run's state, the default reason, and other reasons that the agent may set."""


def take_final_report(snapshot: Snapshot) -> Actions | None:
    """End the run as the agent reported; None while the flow is running."""
    report = snapshot.run.report
    if not report.is_claimed or report.state not in _ENDS:
        return None
    state, reason, others = _ENDS[report.state]
    if report.reason in others:
        reason = Reason(report.reason.value)
    return outcome.end(snapshot, state, reason, _message(report, state))


def _message(report: Report, state: RunState) -> str:
    return report.message or f"The flow ended as {state.value}."
