"""Which events are worth a look, and at which runs."""

from __future__ import annotations

from typing import Any

import pytest

from flowkiln_operator.controller.watched import Watched, run_of


def run(name: str = "monthly", *, generation: int = 1, flow: str = "weather", **status: Any) -> dict[str, Any]:
    """Return a FlowRun's document."""
    return {
        "metadata": {"namespace": "team", "name": name, "uid": f"uid-{name}", "generation": generation},
        "spec": {"flowRef": {"name": flow}},
        "status": status,
    }


REPORT = {"state": "Running", "reason": "Running", "holder": {"podUID": "u"}, "attempt": 1}


@pytest.mark.parametrize(
    "status",
    [
        {"flow": {**REPORT, "progress": "2/9"}},
        {"flow": {**REPORT, "counts": {"Success": 2}}},
        {"flow": {**REPORT, "message": "waiting for 7"}},
        {"flow": REPORT, "tasks": [{"name": "a", "state": "Success"}]},
    ],
)
def test_progress_is_not_worth_a_look(status: dict[str, Any]) -> None:
    """An agent reports it up to once a second, and nothing is decided by it."""
    watched = Watched()
    document = run()
    document["status"] = {"flow": REPORT}
    assert watched.see_run(document)
    document = run()
    document["status"] = status
    assert not watched.see_run(document)


@pytest.mark.parametrize(
    "change",
    [
        {"status": {"flow": {**REPORT, "state": "Success"}}},
        {"status": {"flow": {**REPORT, "holder": {"podUID": "another"}}}},
        {"status": {"flow": REPORT, "state": "Running"}},
        {"metadata": {"generation": 2}},
        {"metadata": {"uid": "another"}},
        {"metadata": {"deletionTimestamp": "2026-01-01T12:00:00Z"}},
    ],
)
def test_whatever_decisions_rest_on_is_worth_a_look(change: dict[str, Any]) -> None:
    """Spec, deletion, the operator's part, and how the agent's flow is."""
    watched = Watched()
    document = run()
    document["status"] = {"flow": REPORT}
    assert watched.see_run(document)
    changed = {**document, **change, "metadata": {**document["metadata"], **change.get("metadata", {})}}
    assert watched.see_run(changed)
    assert not watched.see_run(changed)


def test_a_flow_concerns_the_runs_that_have_no_plan_yet() -> None:
    """Those of its own namespace which refer to it; the others' plans are fixed."""
    watched = Watched()
    watched.see_run(run("waits"))
    watched.see_run(run("waits-for-another", flow="other"))
    watched.see_run(run("runs", plan={"configMap": "c"}))
    watched.see_run(run("gone"))
    watched.lose_run(run("gone"))
    flow = {"metadata": {"namespace": "team", "name": "weather"}}
    assert watched.waiting_for(flow) == [("team", "waits")]
    assert watched.waiting_for({"metadata": {"namespace": "elsewhere", "name": "weather"}}) == []


def test_runs_are_known_from_their_first_event_to_their_last() -> None:
    """Pods of other runs, of another operator's class for one, concern nobody here."""
    watched = Watched()
    assert not watched.knows(("team", "monthly"))
    watched.see_run(run("monthly"))
    assert watched.knows(("team", "monthly"))
    assert not watched.knows(("elsewhere", "monthly"))
    watched.lose_run(run("monthly"))
    assert not watched.knows(("team", "monthly"))


def test_states_are_counted_for_the_metrics() -> None:
    """One for each run that is there."""
    watched = Watched()
    watched.see_run(run("a", state="Running"))
    watched.see_run(run("b"))
    assert sorted(watched.states()) == ["", "Running"]


def test_a_pod_names_its_run_by_the_annotation() -> None:
    """A label has no room for a long name; a pod without the annotation concerns nobody."""
    pod = {"metadata": {"namespace": "team", "annotations": {"flowkiln.dev/run-name": "a" * 253}}}
    assert run_of(pod) == ("team", "a" * 253)
    assert run_of({"metadata": {"namespace": "team"}}) is None


def test_the_late_end_of_an_old_run_does_not_strike_out_the_new_one_of_its_name() -> None:
    """Deleted and created anew, and the events came in the other order."""
    watched, old, new = Watched(), run(), run()
    new["metadata"]["uid"] = "another"
    watched.see_run(old)
    watched.see_run(new)
    watched.lose_run(old)
    assert watched.knows(("team", "monthly"))
    watched.lose_run(new)
    assert not watched.knows(("team", "monthly"))
