"""States and the conditions that follow from them."""

from __future__ import annotations

import pytest

from flowkiln.api.reasons import CONDITIONS_OF_STATE, TERMINAL_STATES, FlowReason, FlowState, Reason, RunState


@pytest.mark.parametrize(
    ("state", "statuses"),
    [
        ("Scheduled", "Unknown False True False"),
        ("Pending", "Unknown False True False"),
        ("Running", "Unknown False True False"),
        ("Paused", "Unknown False False False"),
        ("Success", "True True False False"),
        ("Failed", "False True False True"),
        ("Crashed", "False True False True"),
        ("Cancelled", "False True False False"),
    ],
)
def test_each_state_has_the_conditions_of_the_design(state: str, statuses: str) -> None:
    """Succeeded, Finished, Reconciling and Stalled say what tools rely on."""
    items = CONDITIONS_OF_STATE[RunState(state)].items()
    assert [str(type_) for type_, _ in items] == ["Succeeded", "Finished", "Reconciling", "Stalled"]
    assert " ".join(status for _, status in items) == statuses


def test_finished_is_true_for_exactly_the_terminal_states() -> None:
    """`kubectl wait --for=condition=Finished` ends when the run is over, and only then."""
    finished = {state for state, statuses in CONDITIONS_OF_STATE.items() if statuses.finished == "True"}
    assert finished == TERMINAL_STATES == {state for state in RunState if state.is_terminal}


def test_what_the_agent_says_the_operator_can_repeat() -> None:
    """Every state and reason of the agent's is also one of the run."""
    assert {str(state) for state in FlowState} <= {str(state) for state in RunState}
    assert {str(reason) for reason in FlowReason} <= {str(reason) for reason in Reason}
