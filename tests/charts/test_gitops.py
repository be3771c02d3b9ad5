"""What Argo CD, and tools that follow kstatus such as Flux, make of a FlowRun in each state."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from flowkiln.api.reasons import Reason, RunState

from .reading import health, kstatus
from .statuses import REASONS, STATES, flow_run

ARGO_CD: Mapping[RunState, str] = {
    RunState.SCHEDULED: "Progressing",
    RunState.PENDING: "Progressing",
    RunState.RUNNING: "Progressing",
    RunState.PAUSED: "Suspended",
    RunState.SUCCESS: "Healthy",
    RunState.FAILED: "Degraded",
    RunState.CRASHED: "Degraded",
    RunState.CANCELLED: "Healthy",
}
KSTATUS: Mapping[RunState, str] = {
    RunState.SCHEDULED: "InProgress",
    RunState.PENDING: "InProgress",
    RunState.RUNNING: "InProgress",
    RunState.PAUSED: "Current",
    RunState.SUCCESS: "Current",
    RunState.FAILED: "Failed",
    RunState.CRASHED: "Failed",
    RunState.CANCELLED: "Current",
}

ready_or_not = pytest.mark.parametrize("ready", [True, False], ids=["cluster ready", "no cluster"])
in_every_state = pytest.mark.parametrize(("state", "reason"), STATES)


def test_the_table_has_every_state_and_every_reason() -> None:
    """A new one cannot be forgotten here."""
    assert set(REASONS) == set(ARGO_CD) == set(KSTATUS) == set(RunState)
    assert {reason for reasons in REASONS.values() for reason in reasons} == set(Reason)


@ready_or_not
@in_every_state
def test_argo_cd_shows_the_state(state: RunState, reason: Reason, ready: bool) -> None:
    """With the reason and the sentence of the run, whatever its cluster is doing."""
    document = flow_run(state, reason, cluster_is_ready=ready)
    assert health(document) == (ARGO_CD[state], f"{state} ({reason}): a sentence")


@in_every_state
def test_argo_cd_waits_until_the_operator_has_seen_a_change(state: RunState, reason: Reason) -> None:
    """What the status says about an older spec does not count."""
    document = flow_run(state, reason, cluster_is_ready=False, generation=2)
    assert health(document) == ("Progressing", "waiting for Flowkiln's operator")


@pytest.mark.parametrize("status", [None, {}, {"conditions": []}, {"flow": {"state": "Success"}}])
def test_argo_cd_waits_for_a_run_that_nobody_has_seen(status: Any) -> None:
    """A FlowRun that was just created is not Healthy, nor is one of which only an agent says how it is."""
    document = {"metadata": {"generation": 1}} | ({} if status is None else {"status": status})
    assert health(document)[0] == "Progressing"


@ready_or_not
@in_every_state
def test_kstatus_tells_progress_success_and_failure(state: RunState, reason: Reason, ready: bool) -> None:
    """Flux waits while a run runs, and fails at once when it fails."""
    assert kstatus(flow_run(state, reason, cluster_is_ready=ready)) == KSTATUS[state]


@in_every_state
def test_kstatus_waits_until_the_operator_has_seen_a_change(state: RunState, reason: Reason) -> None:
    """observedGeneration is at the status's top, where kstatus looks for it."""
    assert kstatus(flow_run(state, reason, cluster_is_ready=True, generation=2)) == "InProgress"


@pytest.mark.parametrize("status", [{}, {"conditions": []}, {"flow": {"state": "Success", "reason": "Succeeded"}}])
def test_a_run_that_nobody_has_seen_is_waited_for(status: Mapping[str, Any]) -> None:
    """With the status that the API server gives a new object, and whatever an agent says beside that."""
    document = {"metadata": {"generation": 1}, "status": {"observedGeneration": 0, **status}}
    assert (kstatus(document), health(document)[0]) == ("InProgress", "Progressing")


@in_every_state
def test_conditions_of_trouble_are_true_only_in_trouble(state: RunState, reason: Reason) -> None:
    """Reconciling and Stalled are always there, never both true, and Unknown is never said of them."""
    written = flow_run(state, reason, cluster_is_ready=True)["status"]["conditions"]
    said = {condition["type"]: condition["status"] for condition in written}
    assert {said["Reconciling"], said["Stalled"]} <= {"True", "False"}
    assert (said["Reconciling"], said["Stalled"]) != ("True", "True")
    assert said["Stalled"] == "False" or said["Finished"] == "True"
    assert (said["Succeeded"] == "Unknown") is (said["Finished"] == "False")
    assert "Ready" not in said, "kstatus would wait for it"


def test_flux_and_argo_cd_agree() -> None:
    """No state is a failure for the one and none for the other."""
    assert {state for state in RunState if ARGO_CD[state] == "Degraded"} == {
        state for state in RunState if KSTATUS[state] == "Failed"
    }
    assert {state for state in RunState if ARGO_CD[state] == "Progressing"} == {
        state for state in RunState if KSTATUS[state] == "InProgress"
    }
