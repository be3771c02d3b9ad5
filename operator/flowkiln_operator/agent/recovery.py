"""Decide how to continue a run that an earlier engine process started."""

from __future__ import annotations

from flowkiln.api.reasons import FlowReason, FlowState
from flowkiln_operator.agent.claim import Start
from flowkiln_operator.agent.projection.flow_status import RunSummary

MAX_LOADS = 3
"""Maximum number of engine process deaths during loading."""


def decide_recovery(start: Start, *, restarts: int, last_exit: str) -> RunSummary | None:
    """Return None to run the flow from its start, else the final summary.

    Task results exist only in the Dask cluster, and the process that tracked them is gone.
    """
    match start:
        case Start.FRESH if restarts >= MAX_LOADS:
            message = f"the process that loads the flow died {restarts} times, last with {last_exit}"
            return RunSummary(FlowState.FAILED, FlowReason.FLOW_LOAD_FAILED, message)
        case Start.FRESH:
            return None
        case Start.SAME_CLUSTER:
            ended = f" with {last_exit}" if last_exit else ""
            message = f"the engine process ended{ended} while the flow was running, and the state of the run with it"
            return RunSummary(FlowState.CRASHED, FlowReason.CLUSTER_LOST, message)
        case Start.NEW_CLUSTER:
            message = "the Dask scheduler was lost while the flow was running, and the task results with it"
            return RunSummary(FlowState.CRASHED, FlowReason.CLUSTER_LOST, message)
