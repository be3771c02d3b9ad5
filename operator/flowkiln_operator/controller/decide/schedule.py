"""Handle `spec.startTime`."""

from __future__ import annotations

from flowkiln.api.reasons import Reason, RunState
from flowkiln_operator.controller.actions import Actions, RequeueAt
from flowkiln_operator.controller.snapshot import Snapshot

from . import outcome


def wait_for_start_time(snapshot: Snapshot) -> Actions | None:
    """Keep a run Scheduled until its startTime; None afterwards, or if the run is invalid."""
    run = snapshot.run
    if run.status.cluster is not None or run.spec is None or run.spec.start_time is None:
        return None
    if run.spec.start_time <= snapshot.now or snapshot.admission.problem is not None:
        return None
    message = f"The run waits for its startTime, {run.spec.start_time:%Y-%m-%d %H:%M:%S %Z}."
    written = outcome.write(snapshot, RunState.SCHEDULED, Reason.WAITING_FOR_START_TIME, message)
    return (*written, RequeueAt(run.spec.start_time))
