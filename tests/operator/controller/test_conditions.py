"""The table of the design: which state shows which conditions."""

from __future__ import annotations

from datetime import timedelta

import pytest

from flowkiln.api.reasons import RunState
from flowkiln.api.status import Condition
from flowkiln_operator.controller.conditions import ClusterReady, conditions
from tests.operator.builders import CREATED

READY = ClusterReady(True, "Ready", "It is up.")
TABLE = {
    "Scheduled": ("Unknown", "False", "True", "False"),
    "Pending": ("Unknown", "False", "True", "False"),
    "Running": ("Unknown", "False", "True", "False"),
    "Paused": ("Unknown", "False", "False", "False"),
    "Success": ("True", "True", "False", "False"),
    "Failed": ("False", "True", "False", "True"),
    "Crashed": ("False", "True", "False", "True"),
    "Cancelled": ("False", "True", "False", "False"),
}


def make(
    state: str, before: tuple[Condition, ...] = (), *, later: float = 0, message: str = "so"
) -> tuple[Condition, ...]:
    """Return the conditions of a state, some seconds later."""
    now = CREATED + timedelta(seconds=later)
    return conditions(before, RunState(state), reason="Why", message=message, cluster=READY, generation=4, now=now)


@pytest.mark.parametrize("state", TABLE)
def test_each_state_has_its_conditions(state: str) -> None:
    """`kubectl wait --for=condition=Finished` always ends; kstatus reads success and failure right."""
    made = {condition.type: condition for condition in make(state)}
    statuses = tuple(made[type].status.value for type in ("Succeeded", "Finished", "Reconciling", "Stalled"))
    assert statuses == TABLE[state]
    assert {condition.observed_generation for condition in made.values()} == {4}
    assert made["ClusterReady"].status.value == "True"


def test_a_condition_keeps_its_time_until_its_status_changes() -> None:
    """A new message is no transition."""
    before = make("Pending")
    after = {condition.type: condition for condition in make("Success", before, later=60, message="another")}
    assert after["Stalled"].last_transition_time == CREATED
    assert after["Stalled"].message == "another"
    assert after["Succeeded"].last_transition_time == CREATED + timedelta(seconds=60)


def test_messages_are_bounded() -> None:
    """What the API server says may be of any length; a status may not."""
    assert all(len(condition.message) <= 1024 for condition in make("Failed", message="x" * 5000))
