"""End invalid runs before anything is created."""

from __future__ import annotations

from flowkiln.api.effective import run_times
from flowkiln.api.reasons import Reason, RunState
from flowkiln_operator.controller.actions import Actions, RequeueAt
from flowkiln_operator.controller.decide import outcome
from flowkiln_operator.controller.snapshot import Snapshot


def refuse_unreadable(snapshot: Snapshot) -> Actions | None:
    """End a run whose spec cannot be read."""
    run = snapshot.run
    if run.spec is not None or run.status.cluster is not None:
        return None
    return outcome.end(snapshot, RunState.FAILED, Reason.INVALID_SPEC, run.spec_error)


def wait_for_flow(snapshot: Snapshot) -> Actions | None:
    """Wait for a missing Flow until the run's startDeadline: it may be applied after the run."""
    run = snapshot.run
    if snapshot.flow is not None or not _is_new(snapshot) or run.spec is None or run.spec.flow_ref is None:
        return None
    if (invalid := snapshot.admission.problem) is not None:
        return outcome.end(snapshot, RunState.FAILED, Reason.INVALID_SPEC, invalid)
    times = run_times(run.spec)
    deadline = max(run.created, times.start_time or run.created) + times.start_deadline
    name = run.spec.flow_ref.name
    if snapshot.now >= deadline:
        message = f"There was no Flow {name} within the run's startDeadline of {run.spec.start_deadline}."
        return outcome.end(snapshot, RunState.FAILED, Reason.START_DEADLINE_EXCEEDED, message)
    message = f"There is no Flow {name} in this namespace; the run waits for it until {deadline:%Y-%m-%d %H:%M:%S %Z}."
    written = outcome.write(snapshot, RunState.PENDING, Reason.FLOW_NOT_FOUND, message)
    return (*written, RequeueAt(deadline))


def refuse_invalid(snapshot: Snapshot) -> Actions | None:
    """End a run that does not match its Flow, or whose Flow is invalid."""
    if not _is_new(snapshot):
        return None
    invalid = snapshot.admission.problem
    return outcome.end(snapshot, RunState.FAILED, Reason.INVALID_SPEC, invalid) if invalid is not None else None


def _is_new(snapshot: Snapshot) -> bool:
    """Return whether nothing has been created for the run yet: afterwards its plan is fixed."""
    return snapshot.run.status.cluster is None and snapshot.plan is None
