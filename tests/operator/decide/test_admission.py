"""Which runs may start, and when."""

from __future__ import annotations

from typing import Any

import pytest

from flowkiln_operator.controller.actions import CreateChild, CreateDaskCluster, DeleteDaskCluster
from tests.operator.builders import (
    Builder,
    at,
    condition,
    kinds,
    make_flow_run,
    requeued_at,
    status_of,
)


def pending_status(builder: Builder) -> dict[str, Any]:
    """Return state, reason and message that the decision writes."""
    status = status_of(builder.decide())
    assert status is not None
    succeeded = condition(status, "Succeeded")
    return {"state": status["state"], "reason": succeeded["reason"], "message": succeeded["message"]}


INVALID = {
    "a parameter that the Flow does not have": (
        make_flow_run().with_spec(parameters={"colour": "red"}),
        "spec.parameters.colour: there is no parameter",
    ),
    "a required parameter without a value": (
        make_flow_run().with_flow(parameters=[{"name": "year"}]),
        "spec.parameters.year: is required",
    ),
    "a parameter against its schema": (
        make_flow_run()
        .with_flow(parameters=[{"name": "year", "schema": {"type": "integer"}}])
        .with_spec(parameters={"year": "last"}),
        "spec.parameters.year",
    ),
    "a cycle in the Flow": (
        make_flow_run().with_flow(
            tasks=[
                {"name": "a", "function": "m:f", "after": ["b"]},
                {"name": "b", "function": "m:f", "after": ["a"]},
            ]
        ),
        "Flow weather: spec.tasks",
    ),
    "a Flow that cannot be read": (
        make_flow_run().with_broken_flow("spec.tasks: is wrong"),
        "Flow weather: spec.tasks: is wrong",
    ),
    "a spec that cannot be read": (
        make_flow_run().with_unreadable_spec("spec.flowRef: is required"),
        "spec.flowRef: is required",
    ),
    "an invalid run whose Flow is not there yet": (
        make_flow_run().without_flow().with_spec(timeout="0s", startDeadline="1h"),
        "spec.timeout",
    ),
    "an invalid run for later": (
        make_flow_run().with_spec(parameters={"colour": "red"}, startTime="2027-01-01T00:00:00Z"),
        "spec.parameters.colour",
    ),
}


@pytest.mark.parametrize("sentence", INVALID)
def test_an_invalid_run_fails_at_once_and_creates_nothing(sentence: str) -> None:
    """The condition's message names the field; nothing has to be cleaned up."""
    builder, message = INVALID[sentence]
    said = pending_status(builder)
    assert (said["state"], said["reason"]) == ("Failed", "InvalidSpec")
    assert said["message"].startswith(message), said["message"]
    assert not {CreateChild, CreateDaskCluster, DeleteDaskCluster} & set(kinds(builder.decide()))


def test_a_run_without_its_flow_waits_for_it() -> None:
    """Tools may apply the FlowRun first."""
    waiting = make_flow_run().without_flow().at(1)
    said = pending_status(waiting)
    assert (said["state"], said["reason"]) == ("Pending", "FlowNotFound")
    assert "There is no Flow weather" in said["message"]
    assert requeued_at(waiting.decide()) == at(600)
    assert CreateDaskCluster in kinds(waiting.after_decision().with_flow().at(9).decide())


@pytest.mark.parametrize(("start_time", "deadline"), [(None, 600), ("2026-01-01T13:00:00Z", 4200)])
def test_a_flow_that_does_not_come_fails_the_run_at_its_start_deadline(start_time: str | None, deadline: int) -> None:
    """The deadline counts from the creation, or from startTime."""
    fields = {"startTime": start_time} if start_time else {}
    waiting = make_flow_run().with_spec(**fields).without_flow().at(deadline - 1).after_decision()
    assert requeued_at(waiting.decide()) == at(deadline)
    said = pending_status(waiting.at(deadline))
    assert (said["state"], said["reason"]) == ("Failed", "StartDeadlineExceeded")


def test_a_run_for_later_is_scheduled_until_then() -> None:
    """startTime is the earliest start; one in the past changes nothing."""
    later = make_flow_run().with_spec(startTime="2026-01-01T13:00:00Z")
    said = pending_status(later)
    assert (said["state"], said["reason"]) == ("Scheduled", "WaitingForStartTime")
    assert "2026-01-01 13:00:00" in said["message"]
    assert requeued_at(later.decide()) == at(3600)
    assert CreateDaskCluster in kinds(later.after_decision().at(3600).decide())
    assert CreateDaskCluster in kinds(make_flow_run().with_spec(startTime="2025-01-01T00:00:00Z").decide())


def test_a_started_run_does_not_care_about_its_flow_any_more() -> None:
    """Editing or deleting the Flow, even into nonsense, touches later runs only."""
    for builder in (make_flow_run().starting(), make_flow_run().running()):
        assert status_of(builder.without_flow().decide()) is None
        assert status_of(builder.with_broken_flow("nonsense").decide()) is None
