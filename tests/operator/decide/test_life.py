"""The life of a run from its creation to its end, decision by decision."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from flowkiln_operator.controller.actions import (
    ApplyStatus,
    CreateChild,
    CreateDaskCluster,
    DeleteDaskCluster,
    DeleteFlowRun,
    DeleteRole,
    RecordEvent,
    RequeueAt,
)
from flowkiln_operator.controller.snapshot import PlanProblem, RejectionKind
from flowkiln_operator.status.reading import read_status
from tests.operator.builders import (
    CLUSTER,
    RUN,
    Builder,
    at,
    condition,
    kinds,
    make_flow_run,
    requeued_at,
    scheduler_pod,
    status_of,
    worker_pod,
)


def test_a_new_run_gets_its_children_then_its_status_then_its_cluster() -> None:
    """The plan is there before anything refers to it, and the cluster's number before the cluster."""
    actions = make_flow_run().decide()
    assert kinds(actions) == [*[CreateChild] * 5, ApplyStatus, CreateDaskCluster, RequeueAt]
    made = [action.manifest["kind"] for action in actions if isinstance(action, CreateChild)]
    assert made == ["ConfigMap", "Role", "ServiceAccount", "RoleBinding", "NetworkPolicy"]
    status = status_of(actions)
    assert status is not None
    assert (status["state"], status["cluster"]) == ("Pending", {"name": CLUSTER, "number": 1})
    assert status["plan"]["configMap"] == RUN.plan_name
    assert status["plan"]["flowGeneration"] == 3
    assert "startTime" not in status


def test_a_run_that_a_later_operator_left_goes_on() -> None:
    """After a rollback a state that is not known is replaced, by what agent and pods say."""
    running = make_flow_run().running()
    tomorrow = {**running.run.status.to_json(), "state": "Suspended", "novelty": 1}
    rolled_back = replace(running, run=replace(running.run, status=read_status(tomorrow)))
    status = status_of(rolled_back.decide())
    assert status is not None
    assert status["state"] == "Running"
    assert status["cluster"] == {"name": CLUSTER, "number": 1}


def test_a_run_whose_operator_died_before_its_cluster_goes_on_with_the_plan_that_is_there() -> None:
    """A Flow that was edited meanwhile changes nothing: the ConfigMap decides."""
    stopped = make_flow_run().after_decision().with_plan().with_flow(timeout="1h")
    actions = stopped.decide()
    assert kinds(actions) == [CreateDaskCluster, RequeueAt]
    assert isinstance(actions[0], CreateDaskCluster)
    assert actions[0].fixed.plan.spec.timeout is None
    assert actions[0].number == 1


def test_a_run_whose_operator_died_before_its_status_takes_the_plan_that_is_there() -> None:
    """The ConfigMap was made, the status was not: it is described by what it holds."""
    orphan = make_flow_run().with_plan()
    stopped = orphan.with_flow(timeout="1h")
    status = status_of(stopped.decide())
    assert status is not None
    assert status["plan"]["sha256"] == orphan.fixed_plan().plan.sha256


def test_nothing_is_written_when_nothing_has_changed() -> None:
    """A second look at the same state of things writes nothing, in every state."""
    for settled in (
        make_flow_run().starting(),
        make_flow_run().running(),
        make_flow_run().without_flow().after_decision(),
        make_flow_run().with_spec(startTime="2027-01-01T00:00:00Z").after_decision(),
        make_flow_run().running().reporting("Success", "Succeeded").after_decision().without_cluster(),
    ):
        assert status_of(settled.after_decision().decide()) is None


def test_the_claim_makes_a_run_running_in_one_write() -> None:
    """State, start time and ClusterReady are told together; workers that come a moment later cost no further write."""
    claimed = make_flow_run().starting().at(8).with_pods(scheduler_pod()).reporting("Running", "Running")
    status = status_of(claimed.decide())
    assert status is not None
    assert (status["state"], status["startTime"]) == ("Running", "2026-01-01T12:00:08Z")
    assert condition(status, "ClusterReady")["status"] == "True"
    workers_too = claimed.after_decision().at(10).with_pods(scheduler_pod(), worker_pod())
    assert kinds(workers_too.decide()) == [RequeueAt]


def test_paused_shows_what_the_agent_waits_for() -> None:
    """Only paused tasks are left: the run is neither reconciling nor stalled."""
    status = status_of(make_flow_run().running().reporting("Paused", "WaitingForInput").decide())
    assert status is not None
    assert status["state"] == "Paused"
    assert condition(status, "Reconciling")["status"] == "False"
    assert condition(status, "Finished")["reason"] == "WaitingForInput"


@pytest.mark.parametrize(
    ("reported", "state", "reason", "succeeded"),
    [
        (("Success", "Succeeded"), "Success", "Succeeded", "True"),
        (("Failed", "TaskFailed"), "Failed", "TaskFailed", "False"),
        (("Failed", "FlowLoadFailed"), "Failed", "FlowLoadFailed", "False"),
        (("Failed", "Succeeded"), "Failed", "TaskFailed", "False"),
        (("Crashed", "PlanChanged"), "Crashed", "PlanChanged", "False"),
        (("Crashed", "AgentVersion"), "Crashed", "AgentVersion", "False"),
        (("Crashed", "Running"), "Crashed", "ClusterLost", "False"),
        (("Cancelled", "Terminated"), "Cancelled", "Terminated", "False"),
        (("Success", "Terminated"), "Success", "Succeeded", "True"),
    ],
)
def test_the_agents_last_report_ends_the_run(
    reported: tuple[str, str], state: str, reason: str, succeeded: str
) -> None:
    """Each final state of the flow is the run's; a reason that does not belong to it is replaced by the usual one."""
    actions = make_flow_run().running().at(60).reporting(*reported, message="so it ended").decide()
    assert kinds(actions) == [ApplyStatus, DeleteRole, RecordEvent]
    status = status_of(actions)
    assert status is not None
    assert (status["state"], status["completionTime"]) == (state, "2026-01-01T12:01:00Z")
    assert condition(status, "Finished")["status"] == "True"
    assert condition(status, "Succeeded")["status"] == succeeded
    assert condition(status, "Succeeded")["reason"] == reason
    assert condition(status, "Succeeded")["message"] == "so it ended"
    assert not {"flow", "tasks"} & status.keys(), "the agent's part stays the agent's"


@pytest.mark.parametrize("retained", ["0s", "10m"])
def test_the_cluster_of_a_failed_run_is_kept_as_long_as_its_author_says(retained: str) -> None:
    """retainAfterFailure delays the deletion and nothing else."""
    ended = make_flow_run().with_flow(cluster={"retainAfterFailure": retained}).running().at(60)
    actions = ended.reporting("Failed", "TaskFailed").decide()
    assert (DeleteRole in kinds(actions)) == (retained == "0s")
    kept = ended.reporting("Failed", "TaskFailed").after_decision()
    if retained == "10m":
        assert requeued_at(kept.at(61).decide()) == at(660)
        due = kept.at(660).decide()
        assert kinds(due) == [ApplyStatus, DeleteRole, RequeueAt]


LOOKS = {
    "nobody looked between claim and end": make_flow_run().starting().with_pods(scheduler_pod(), worker_pod()),
    "the workers were missed at the last look": make_flow_run()
    .starting()
    .at(8)
    .with_pods(scheduler_pod())
    .reporting("Running", "Running")
    .after_decision()
    .at(20)
    .after_decision(),
    "all was well": make_flow_run().running(),
}


@pytest.mark.parametrize("retained", [False, True])
@pytest.mark.parametrize("sentence", LOOKS)
def test_the_end_does_not_depend_on_when_the_operator_looked(sentence: str, retained: bool) -> None:
    """A run that has come to its end has a start, and a cluster that was deleted, or is retained."""
    builder = LOOKS[sentence].with_flow(cluster={"retainAfterFailure": "1h"}) if retained else LOOKS[sentence]
    builder = builder.with_plan() if retained else builder
    status = status_of(builder.at(60).reporting("Failed", "TaskFailed").decide())
    assert status is not None
    assert status["startTime"] <= status["completionTime"]
    assert condition(status, "ClusterReady")["reason"] == ("Ready" if retained else "Deleted")


def test_a_cluster_that_was_still_starting_is_told_as_given_back() -> None:
    """A run that is terminated on its way does not show a cluster that goes on starting."""
    starting = make_flow_run().starting().with_pods(scheduler_pod(ready=False))
    status = status_of(starting.patched(terminate="Immediate").decide())
    assert status is not None
    assert condition(status, "ClusterReady")["reason"] == "Deleted"
    assert "startTime" not in status


def test_the_cluster_of_a_successful_run_is_never_kept() -> None:
    """retainAfterFailure is for failures."""
    ended = make_flow_run().with_flow(cluster={"retainAfterFailure": "10m"}).running().reporting("Success", "Succeeded")
    assert DeleteRole in kinds(ended.decide())


def test_an_ended_run_is_deleted_when_its_time_is_over() -> None:
    """ttlAfterFinished counts from the end, and may be set after it."""
    ended = make_flow_run().running().at(60).reporting("Success", "Succeeded").after_decision().without_cluster()
    assert ended.at(10_000).decide() == ()
    patched = ended.patched(ttlAfterFinished="1h").at(100).after_decision()
    assert requeued_at(patched.decide()) == at(60 + 3600)
    assert kinds(patched.at(60 + 3600).decide()) == [DeleteFlowRun]


def test_a_patched_ended_run_shows_that_the_patch_was_seen() -> None:
    """kstatus calls a run in progress until observedGeneration is its generation; a part taken over stays named."""
    cut_off = make_flow_run().running().patched(terminate="Immediate").at(60).after_decision()
    assert cut_off.run.owns_report
    status = status_of(cut_off.patched(ttlAfterFinished="1h").decide())
    assert status is not None
    assert status["observedGeneration"] == 3
    assert status["flow"]["state"] == "Cancelled"


def test_a_run_that_is_being_deleted_is_left_alone() -> None:
    """Whatever state it is in: ownerReferences do the rest."""
    for builder in (make_flow_run(), make_flow_run().starting(), make_flow_run().running()):
        assert builder.deleting().decide() == ()


CLASSES = {
    "a run of the operator's class": ("gpu", "gpu", True),
    "a run without a class, for an operator without one": (None, None, True),
    "a run of another class": ("cpu", "gpu", False),
    "a run without a class, for an operator that has one": (None, "gpu", False),
    "a run with a class, for an operator without one": ("gpu", None, False),
    "a run whose label is empty": ("", None, False),
}


@pytest.mark.parametrize(("label", "seen_by", "ours"), CLASSES.values(), ids=CLASSES)
def test_a_run_of_another_class_is_left_to_its_operator(label: str | None, seen_by: str | None, ours: bool) -> None:
    """At every point of its life, terminated ones and ended ones with a TTL included; each run has one operator."""
    ended = make_flow_run().with_spec(ttlAfterFinished="1m").running().reporting("Success", "Succeeded")
    for builder in (
        make_flow_run(),
        make_flow_run().without_flow(),
        make_flow_run().with_unreadable_spec("what is this?"),
        make_flow_run().with_spec(terminate="Immediate"),
        make_flow_run().starting().at(10_000),
        ended,
        ended.after_decision().at(10_000),
    ):
        assert bool(builder.of_class(label, seen_by=seen_by).decide()) is ours


def test_a_lost_cluster_of_an_ended_run_is_not_missed() -> None:
    """The end stays what it was when the DaskCluster goes, or cannot be deleted at once."""
    ended = make_flow_run().running().reporting("Success", "Succeeded").after_decision()
    assert kinds(ended.decide()) == [RequeueAt], "its owner is gone, so Kubernetes deletes it"
    assert kinds(ended.at(10).decide()) == [DeleteRole, DeleteDaskCluster], "the deletion is tried again"
    assert ended.with_cluster(deleting=True).decide() == ()
    assert ended.without_cluster().decide() == ()


def test_what_the_pods_of_a_lost_cluster_needed_goes_too() -> None:
    """Also when there is no DaskCluster to delete; but nothing goes that may be somebody else's."""
    lost = make_flow_run().running().without_cluster()
    assert DeleteRole in kinds(lost.decide())
    never_started = make_flow_run().rejected(RejectionKind.NAME_TAKEN, "There is a ServiceAccount already.")
    assert DeleteRole not in kinds(never_started.decide())
    kept = make_flow_run().with_flow(cluster={"retainAfterFailure": "10m"}).running()
    failed = kept.reporting("Failed", "TaskFailed")
    assert DeleteRole not in kinds(failed.decide())


def refused(builder: Builder, **expected: Any) -> None:
    """Check state, reason and message, and that nothing is created."""
    status = status_of(builder.decide())
    assert status is not None
    told = condition(status, "Succeeded")
    assert {"state": status["state"], "reason": told["reason"], "message": told["message"]} == expected
    assert not any(isinstance(action, CreateChild | CreateDaskCluster) for action in builder.decide())


def test_a_taken_name_crashes_the_run() -> None:
    """Nothing of somebody else's is used or deleted."""
    message = f"There is a ConfigMap {RUN.plan_name} already that does not belong to this run."
    refused(
        make_flow_run().with_plan_problem(PlanProblem.FOREIGN),
        state="Crashed",
        reason="NameConflict",
        message=message,
    )
    taken = make_flow_run().rejected(RejectionKind.NAME_TAKEN, "There is a Role already.")
    refused(taken, state="Crashed", reason="NameConflict", message="There is a Role already.")
    foreign = make_flow_run().starting().with_cluster(owned=False)
    actions = foreign.decide()
    assert DeleteDaskCluster not in kinds(actions)
    status = status_of(actions)
    assert status is not None
    assert condition(status, "Succeeded")["reason"] == "NameConflict"


def test_a_replaced_plan_crashes_the_run() -> None:
    """A ConfigMap with the right owner and another content is no plan."""
    refused(
        make_flow_run().with_plan_problem(PlanProblem.UNREADABLE),
        state="Crashed",
        reason="PlanChanged",
        message=f"The plan in the ConfigMap {RUN.plan_name} cannot be read: it was replaced.",
    )


def test_a_lost_plan_is_made_again_only_if_it_is_the_same() -> None:
    """The status holds the plan's digest; a Flow edited since makes another."""
    lost = make_flow_run().after_decision()
    made_again = lost.decide()
    assert CreateDaskCluster in kinds(made_again)
    assert next(a.manifest["kind"] for a in made_again if isinstance(a, CreateChild)) == "ConfigMap"
    status = status_of(lost.with_flow(timeout="1h").decide())
    assert status is not None
    assert condition(status, "Succeeded")["reason"] == "PlanChanged"
