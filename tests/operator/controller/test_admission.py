"""The checks of a run: made once, within one budget, up to the first problem."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from flowkiln.api.flow_run import FlowRunSpec
from flowkiln.api.validation.json_schema import MAX_STEPS
from flowkiln_operator.controller import views
from flowkiln_operator.controller.admission import admit
from flowkiln_operator.controller.memory import Memory
from flowkiln_operator.controller.snapshot import FlowView, RunView
from tests.engine.api.validation.tables import calls_of
from tests.operator.builders import make_flow_run
from tests.operator.controller.test_views import run as run_document

COSTLY = {"allOf": [{"uniqueItems": True}] * 600}
ROWS = [*range(40_000)]
TASK = {"name": "a", "function": "m:f"}


def run_view(**spec: Any) -> RunView:
    """Return a FlowRun with this spec."""
    return replace(make_flow_run().run, spec=FlowRunSpec.model_validate(spec))


def flow_view(**spec: Any) -> FlowView:
    """Return a Flow with this spec."""
    metadata = {"name": "weather", "generation": 1, "uid": "flow-uid"}
    view = views.flow_view({"metadata": metadata, "spec": {"tasks": [TASK], **spec}})
    assert view.spec is not None, view.spec_error
    return view


def test_the_checks_of_one_version_are_made_once() -> None:
    """Every look gets what the first one found, until run or Flow is another version."""
    memory, run, flow = Memory(), run_view(flowRef={"name": "weather"}), flow_view()
    first = memory.admission(run, flow)
    assert memory.admission(run, flow) is first
    assert memory.admission(replace(run, generation=2), flow) is not first
    second = memory.admission(replace(run, generation=2), flow)
    assert memory.admission(replace(run, generation=2), replace(flow, uid="another")) is not second


def test_a_generation_of_a_spec_is_read_once() -> None:
    """Events of the status come every second; the spec in them is the same."""
    memory = Memory()
    document = run_document()
    first = views.run_view(document, memory.spec)
    again = views.run_view({**document, "status": {"state": "Running"}}, memory.spec)
    assert again.spec is first.spec
    assert again.status.state == "Running"
    changed = run_document(generation=3)
    assert views.run_view(changed, memory.spec).spec is not first.spec


HURTING: dict[str, tuple[RunView, FlowView | None]] = {
    "a value that is compared again and again": (
        run_view(flowRef={"name": "weather"}, parameters={"p": ROWS}),
        flow_view(parameters=[{"name": "p", "schema": COSTLY}]),
    ),
    "a default that is compared again and again": (
        run_view(flowRef={"name": "weather"}),
        flow_view(parameters=[{"name": "p", "schema": COSTLY, "default": ROWS}]),
    ),
    "many schemas, each with many patterns": (
        run_view(flowRef={"name": "weather"}),
        flow_view(
            parameters=[
                {
                    "name": f"p{number}",
                    "schema": {"allOf": [{"pattern": rf"^\d{{4}}{n}"} for n in range(500)]},
                    "default": 1,
                }
                for number in range(9)
            ]
        ),
    ),
    "names that are similar to a thousand others": (
        run_view(flowRef={"name": "weather"}),
        flow_view(
            tasks=[
                {**TASK, "name": f"task-{number:058}", "after": [f"tosk-{number:054}-{n}" for n in range(9)]}
                for number in range(700)
            ]
        ),
    ),
    "parameters that are similar to others": (
        run_view(flowRef={"name": "weather"}, parameters={f"{'p' * 55}x{number}": 1 for number in range(64)}),
        flow_view(parameters=[{"name": f"{'p' * 60}{number}"} for number in range(64)]),
    ),
}


@pytest.mark.parametrize("sentence", HURTING)
def test_no_object_keeps_the_operator_busy(sentence: str) -> None:
    """Whatever the API server accepts, the checks end after a bounded number of calls, with a sentence."""
    run, flow = HURTING[sentence]
    found: list[str | None] = []
    calls = calls_of(lambda: found.append(admit(run, flow).problem))
    assert calls < 4 * MAX_STEPS
    assert found[0]


def test_an_inline_flow_is_checked_within_the_same_budget() -> None:
    """Its schemas, defaults and the run's values together."""
    inline = {"tasks": [TASK], "parameters": [{"name": "p", "schema": COSTLY}]}
    run = run_view(flowSpec=inline, parameters={"p": ROWS})
    admission = admit(run, views.inline_flow_view(run))
    assert admission.problem is not None
    assert "takes more than" in admission.problem
