"""From documents to values: what Kubernetes says, and what tenants wrote."""

from __future__ import annotations

from typing import Any

import pytest

from flowkiln.api.reasons import FlowReason, FlowState
from flowkiln_operator.controller import views
from flowkiln_operator.controller.snapshot import PlanProblem
from flowkiln_operator.resources.plan import PlanWithSources, plan_config_map
from flowkiln_operator.status.reading import is_over
from tests.operator.resources.test_resources import RUN, make_plan

METADATA = {
    "namespace": "team",
    "name": "monthly",
    "uid": RUN.uid,
    "generation": 2,
    "resourceVersion": "77",
    "creationTimestamp": "2026-01-01T12:00:00Z",
}


def run(spec: Any = None, status: Any = None, **metadata: Any) -> dict[str, Any]:
    """Return a FlowRun's document."""
    return {
        "metadata": {**METADATA, **metadata},
        "spec": spec or {"flowRef": {"name": "weather"}},
        "status": status or {},
    }


def test_a_flow_run_is_read() -> None:
    """Identity, spec, and the operator's part of the status."""
    view = views.run_view(run(status={"state": "Running", "flow": {"state": "Running"}}))
    assert view.identity == RUN
    assert (view.generation, view.resource_version, view.deleting) == (2, "77", False)
    assert view.spec is not None
    assert view.status.state == "Running"
    assert view.status.flow is None


def test_the_class_of_a_run_is_that_of_its_label() -> None:
    """None without the label, which is not the same as an empty one."""
    labels: list[Any] = [None, {}, {"team": "x"}, {"flowkiln.dev/class": ""}, {"flowkiln.dev/class": "gpu"}]
    classes = [views.run_view(run(labels=found)).run_class for found in labels]
    assert classes == [None, None, None, "", "gpu"]


def test_a_spec_of_a_later_version_is_a_problem_and_no_crash() -> None:
    """Somebody downgraded the operator: the run says which field it does not know."""
    view = views.run_view(run({"flowRef": {"name": "weather"}, "novelty": 1}))
    assert view.spec is None
    assert "spec.novelty" in view.spec_error


TOMORROW = {
    "observedGeneration": 2,
    "state": "Suspended",
    "startTime": "2026-01-01T12:00:00Z",
    "novelty": {"a": 1},
    "plan": {"configMap": "monthly-plan", "sha256": "0", "novelty": 1},
    "cluster": {"name": "monthly-012345-c1", "number": 1, "novelty": [1]},
    "conditions": [
        {
            "type": "ClusterReady",
            "status": "True",
            "reason": "Novelty",
            "lastTransitionTime": "2026-01-01T12:00:00Z",
            "novelty": 1,
        },
        {"type": "Novelty", "status": "True", "reason": "New", "lastTransitionTime": "2026-01-01T12:00:00Z"},
        {"type": "Stalled", "status": "Perhaps", "reason": "New", "lastTransitionTime": "2026-01-01T12:00:00Z"},
    ],
    "flow": {
        "state": "Suspended",
        "reason": "Novelty",
        "novelty": 1,
        "holder": {"podUID": "u", "schedulerId": "s", "novelty": 1},
    },
    "tasks": [{"name": "a", "state": "Novel", "novelty": 1, "children": {"novelty": 1}}],
}
"""A status that a later version of the operator wrote, with fields and words that this one does not know."""


def test_a_status_of_tomorrow_is_read() -> None:
    """What is known is taken, at every level; a state that is not known counts as none."""
    view = views.run_view(run(status=TOMORROW))
    status = view.status
    assert (status.observed_generation, status.state) == (2, None)
    assert status.plan is not None
    assert status.plan.sha256 == "0"
    assert status.cluster is not None
    assert status.cluster.number == 1
    assert [(condition.type, condition.reason) for condition in status.conditions] == [("ClusterReady", "Novelty")]
    assert (view.report.state, view.report.reason, view.report.pod_uid) == (None, None, "u")


@pytest.mark.parametrize(
    ("finished", "succeeded", "state"),
    [("True", "True", "Success"), ("True", "False", "Failed"), ("False", "Unknown", None)],
)
def test_a_run_that_is_over_stays_over(finished: str, succeeded: str, state: str | None) -> None:
    """Its conditions say so, in whichever state of tomorrow it ended."""
    conditions = [
        {"type": type, "status": status, "reason": "Novelty", "lastTransitionTime": "2026-01-01T12:00:00Z"}
        for type, status in (("Finished", finished), ("Succeeded", succeeded))
    ]
    status = {**TOMORROW, "state": "Expired", "conditions": conditions}
    assert views.run_view(run(status=status)).status.state == state
    assert is_over(status) is (state is not None)


NONSENSE: list[Any] = [
    None,
    "text",
    [],
    {},
    {"state": 1, "reason": [], "holder": "me", "message": {}, "attempt": "x"},
    {"state": "Reborn", "reason": "Why", "holder": {"podUID": 7}},
    {"holder": {"podUID": "x" * 65}},
]


@pytest.mark.parametrize("flow", NONSENSE)
def test_a_report_that_makes_no_sense_counts_as_none(flow: Any) -> None:
    """The agent runs user code: what it writes is a tenant's input."""
    report = views.report({"flow": flow, "tasks": "none"})
    assert (report.state, report.reason, report.is_claimed, report.tasks) == (None, None, False, ())


def test_a_report_is_read_and_its_message_bounded() -> None:
    """State, reason and holder are taken as words that are known."""
    flow = {"state": "Failed", "reason": "TaskFailed", "message": "x" * 5000, "holder": {"podUID": "u"}, "attempt": 2}
    report = views.report({"flow": flow})
    assert (report.state, report.reason) == (FlowState.FAILED, FlowReason.TASK_FAILED)
    assert (report.pod_uid, report.attempt) == ("u", 2)
    assert 1000 < len(report.message.encode()) <= 1024


@pytest.mark.parametrize(
    ("manager", "fields", "owned"),
    [
        ("flowkiln-operator", {"f:state": {}, "f:flow": {}, "f:tasks": {}}, True),
        ("flowkiln-operator", {"f:state": {}}, False),
        ("flowkiln-agent", {"f:flow": {}}, False),
    ],
)
def test_it_is_known_whether_the_report_was_taken_over(manager: str, fields: Any, owned: bool) -> None:
    """An apply that left a field out which is ours would drop it."""
    entry = {"manager": manager, "subresource": "status", "fieldsV1": {"f:status": fields}}
    assert views.run_view(run(managedFields=[entry])).owns_report is owned


def test_a_plan_is_ours_or_a_problem() -> None:
    """Another owner, another content, another run's plan."""
    own = plan_config_map(RUN, make_plan(), None)
    assert isinstance(views.plan_view(own, RUN), PlanWithSources)
    foreign = {**own, "metadata": {**own["metadata"], "ownerReferences": []}}
    assert views.plan_view(foreign, RUN) is PlanProblem.FOREIGN
    assert views.plan_view({**own, "binaryData": {}}, RUN) is PlanProblem.UNREADABLE
    other = make_plan().model_copy(update={"run": make_plan().run.model_copy(update={"uid": "another"})})
    smuggled = plan_config_map(RUN, other, None)
    assert views.plan_view(smuggled, RUN) is PlanProblem.UNREADABLE


def pod(**status: Any) -> dict[str, Any]:
    """Return a pod's document."""
    labels = {"dask.org/component": "scheduler"}
    return {"metadata": {"name": "p", "uid": "u", "labels": labels}, "status": status}


def test_a_pod_without_a_status_is_read() -> None:
    """As it is just after its creation."""
    view = views.pod_view({"metadata": {"name": "p", "uid": "u"}})
    assert (view.ready, view.containers, view.is_scheduler) == (False, (), False)


def test_a_pod_that_fits_nowhere_says_so() -> None:
    """And one that merely waits for its gates does not."""
    scheduled = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/3 nodes"}
    assert views.pod_view(pod(conditions=[scheduled])).unschedulable == "0/3 nodes"
    gated = {**scheduled, "reason": "SchedulingGated"}
    assert views.pod_view(pod(conditions=[gated])).unschedulable == ""


def test_a_container_tells_why_it_does_not_run_and_how_it_ended_last() -> None:
    """From its waiting state, and from its last one."""
    status = {
        "name": "agent",
        "ready": False,
        "restartCount": 4,
        "state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off"}},
        "lastState": {"terminated": {"reason": "OOMKilled", "exitCode": 137}},
    }
    (view,) = views.pod_view(pod(containerStatuses=[status])).containers
    assert (view.waiting, view.ended, view.exit_code, view.restarts) == ("CrashLoopBackOff", "OOMKilled", 137, 4)


def test_a_deployment_says_why_it_has_no_pods() -> None:
    """Its condition carries the API server's words, a quota's for example."""
    failed = {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": "exceeded quota"}
    assert views.replica_failure({"status": {"conditions": [failed]}}) == "exceeded quota"
    assert views.replica_failure({"status": {"conditions": [{**failed, "status": "False"}]}}) is None
    assert views.replica_failure({}) is None
