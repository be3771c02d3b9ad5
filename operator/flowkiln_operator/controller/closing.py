"""Close the agent's part of the status when the run ends without the agent's final report.

Everything unfinished gets a final state, so the status shows no unfinished work.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from flowkiln.api.reasons import FlowReason, FlowState
from flowkiln_operator.status.closing import close_counts, close_tasks, state_of_unfinished
from flowkiln_operator.status.text import head


def close_report(
    flow: Mapping[str, Any],
    tasks: Sequence[Mapping[str, Any]],
    *,
    end: FlowState,
    reason: FlowReason,
    message: str,
) -> dict[str, Any]:
    """Return `flow` and `tasks` of the status of a run that ends here."""
    task_state = state_of_unfinished(end)
    closed = {**flow, "state": end.value, "reason": reason.value, "message": head(message)}
    if "counts" in flow:
        closed["counts"] = close_counts(flow["counts"], task_state.value)
    return {"flow": closed, "tasks": close_tasks(tasks, task_state.value)}
