"""Handle `spec.terminate`."""

from __future__ import annotations

from flowkiln.api.flow_run import Terminate
from flowkiln.api.reasons import Reason, RunState
from flowkiln_operator.controller.actions import Actions
from flowkiln_operator.controller.snapshot import Snapshot

from . import outcome


def terminate(snapshot: Snapshot) -> Actions | None:
    """End a run with `terminate: Immediate`, in any state."""
    spec = snapshot.run.spec
    if spec is None or spec.terminate is not Terminate.IMMEDIATE:
        return None
    return outcome.end(
        snapshot, RunState.CANCELLED, Reason.TERMINATED, "The run was terminated by its spec.terminate: Immediate."
    )
