"""What goes wrong on the way: clusters that do not come up, or go away; time that runs out; people who terminate."""

from __future__ import annotations

from typing import Any

import pytest

from flowkiln_operator.controller.actions import (
    ApplyStatus,
    CreateDaskCluster,
    DeleteRole,
    RecordEvent,
    RequeueAt,
)
from flowkiln_operator.controller.snapshot import ContainerView, PodView, RejectionKind
from tests.operator.builders import (
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


def waiting(name: str, reason: str, **fields: Any) -> ContainerView:
    """Return a container that does not run."""
    return ContainerView(name, ready=False, waiting=reason, message=fields.pop("message", "no luck"), **fields)


def unready(*containers: ContainerView, **fields: Any) -> PodView:
    """Return a scheduler pod that is not ready since 20 s after the creation of the run."""
    return scheduler_pod(ready=False, ready_changed=at(20), containers=containers, **fields)


STARTING = make_flow_run().starting()
QUOTA = 'pods "x" is forbidden: exceeded quota: small, requested: cpu=1, used: cpu=1, limited: cpu=1'

PROBLEMS = {
    "an image that is not there": (
        STARTING.with_pods(unready(waiting("agent", "ImagePullBackOff", message="no such image"))),
        "ImagePullFailed",
        "no such image",
    ),
    "an image name that is none": (
        STARTING.with_pods(unready(waiting("scheduler", "InvalidImageName"))),
        "ImagePullFailed",
        "scheduler",
    ),
    "a pod that fits nowhere": (
        STARTING.with_pods(scheduler_pod(ready=False, unschedulable="0/3 nodes are available")),
        "Unschedulable",
        "0/3 nodes are available",
    ),
    "workers that fit nowhere": (
        STARTING.with_pods(scheduler_pod(), worker_pod(ready=False, unschedulable="Insufficient cpu")),
        "Unschedulable",
        "Insufficient cpu",
    ),
    "pods past the quota": (STARTING.with_replica_failure(QUOTA), "QuotaExceeded", "exceeded quota"),
    "pods that do not state what a quota counts": (
        STARTING.with_replica_failure('pods "x" is forbidden: failed quota: all: must specify limits.cpu for: agent'),
        "QuotaExceeded",
        "must specify limits.cpu for: agent",
    ),
    "pods that admission refuses": (
        STARTING.with_replica_failure("violates PodSecurity"),
        "ClusterNotReady",
        "violates PodSecurity",
    ),
    "a Secret that is not there": (
        STARTING.with_pods(scheduler_pod(), worker_pod(containers=(waiting("worker", "CreateContainerConfigError"),))),
        "ClusterNotReady",
        "CreateContainerConfigError",
    ),
    "an agent that does not stay up": (
        STARTING.with_pods(unready(waiting("agent", "CrashLoopBackOff", restarts=2, exit_code=1, ended="Error"))),
        "AgentUnavailable",
        "Error, exit code 1, restarted 2 times",
    ),
    "an agent that has just ended": (
        STARTING.with_pods(unready(ContainerView("agent", ready=False, exit_code=1, ended="Error"))),
        "AgentUnavailable",
        "Error, exit code 1",
    ),
    "an agent that is being tried again": (
        STARTING.with_pods(unready(ContainerView("agent", ready=False, restarts=1, exit_code=1, ended="Error"))),
        "AgentUnavailable",
        "Error, exit code 1, restarted once",
    ),
    "an agent that ended and cannot start again": (
        STARTING.with_pods(unready(waiting("agent", "CreateContainerConfigError", exit_code=1, ended="Error"))),
        "ClusterNotReady",
        "CreateContainerConfigError",
    ),
    "no pods at all": (STARTING.at(15), "ClusterNotReady", "dask-kubernetes"),
}


@pytest.mark.parametrize("sentence", PROBLEMS)
def test_what_is_wrong_with_a_starting_cluster_is_told_and_then_ends_the_run(sentence: str) -> None:
    """First ClusterReady says it; at cluster.startDeadline it is the reason for which the run Crashed."""
    builder, reason, words = PROBLEMS[sentence]
    status = status_of(builder.decide())
    assert status is not None
    told = condition(status, "ClusterReady")
    assert (status["state"], told["status"], told["reason"]) == ("Pending", "False", reason)
    assert words in told["message"]
    late = builder.at(300).decide()
    assert kinds(late) == [ApplyStatus, DeleteRole, RecordEvent]
    status = status_of(late)
    assert status is not None
    assert (status["state"], condition(status, "Stalled")["reason"]) == ("Crashed", reason)
    assert words in condition(status, "Stalled")["message"]
    assert condition(status, "ClusterReady")["reason"] == reason


def test_a_problem_that_passes_is_forgotten() -> None:
    """ClusterReady says again that the cluster is starting."""
    trouble = PROBLEMS["pods past the quota"][0].after_decision()
    status = status_of(
        trouble.with_pods(scheduler_pod(ready=False)).with_replica_failure("")._with_parts(replica_failures=()).decide()
    )
    assert status is not None
    assert condition(status, "ClusterReady")["reason"] == "ClusterStarting"


def test_a_cluster_that_is_slow_for_no_known_reason_ends_too() -> None:
    """All pods run and nobody claims."""
    silent = STARTING.with_pods(scheduler_pod(), worker_pod())
    assert requeued_at(silent.at(298).decide()) == at(300)
    status = status_of(silent.at(300).decide())
    assert status is not None
    assert condition(status, "Finished")["reason"] == "ClusterNotReady"


def test_the_start_deadline_is_the_flows() -> None:
    """cluster.startDeadline counts from the DaskCluster's creation."""
    short = make_flow_run().with_flow(cluster={"startDeadline": "20s"}).starting().with_pods(scheduler_pod())
    assert status_of(short.at(19).decide()) is None
    assert DeleteRole in kinds(short.at(20).decide())


REFUSALS = [(RejectionKind.QUOTA, "QuotaExceeded"), (RejectionKind.REFUSED, "ClusterNotReady")]


@pytest.mark.parametrize(("kind", "reason"), REFUSALS)
def test_a_refused_creation_is_told_tried_again_and_given_up(kind: RejectionKind, reason: str) -> None:
    """Told at once, tried every 10 s, given up at cluster.startDeadline."""
    refused = make_flow_run().after_decision().with_plan().rejected(kind, "no more")
    status = status_of(refused.at(1).decide())
    assert status is not None
    assert condition(status, "ClusterReady")["reason"] == reason
    told = refused.at(1).after_decision()
    assert kinds(told.at(9).decide()) == [RequeueAt]
    assert CreateDaskCluster in kinds(told.at(10).decide())
    status = status_of(told.at(300).decide())
    assert status is not None
    assert (status["state"], condition(status, "Finished")["reason"]) == ("Crashed", reason)


def test_workers_that_never_come_end_the_run() -> None:
    """The engine is there, and nothing can run: as long as for the start, then it is over."""
    alone = STARTING.at(8).with_pods(scheduler_pod()).reporting("Running", "Running").after_decision()
    status = status_of(alone.at(18).decide())
    assert status is not None
    assert (status["state"], condition(status, "ClusterReady")["status"]) == ("Running", "False")
    told = alone.at(18).after_decision()
    assert status_of(told.at(317).decide()) is None
    status = status_of(told.at(318).decide())
    assert status is not None
    assert (status["state"], condition(status, "Finished")["reason"]) == ("Crashed", "ClusterNotReady")


def restarted_worker(*, ready_since: float) -> PodView:
    """Return a worker that has ended three times, and was started again at this time."""
    container = ContainerView("worker", ready=True, restarts=3, exit_code=1, ended="Error")
    return worker_pod(ready_changed=at(ready_since), containers=(container,))


def test_a_worker_that_ends_at_every_start_is_not_ready_in_between() -> None:
    """It has no probes, so Kubernetes calls it ready in the seconds that it takes to end; the deadline runs on."""
    ended = worker_pod(
        ready=False, containers=(ContainerView("worker", ready=False, restarts=3, exit_code=1, ended="Error"),)
    )
    lame = STARTING.at(8).with_pods(scheduler_pod(), ended).reporting("Running", "Running").after_decision()
    for start in range(10, 300, 20):
        lame = lame.at(start + 4).with_pods(scheduler_pod(), restarted_worker(ready_since=start))
        lame = lame.after_decision().with_pods(scheduler_pod(), ended)
        status = status_of(lame.patched().decide())
        assert status is not None
        assert condition(status, "ClusterReady")["status"] == "False"
    for moment in (lame, lame.with_pods(scheduler_pod(), restarted_worker(ready_since=305))):
        status = status_of(moment.at(308).decide())
        assert status is not None
        assert (status["state"], condition(status, "Finished")["reason"]) == ("Crashed", "ClusterNotReady")
        assert "Error, exit code 1, restarted 3 times" in condition(status, "Finished")["message"]


def test_a_worker_that_was_started_again_is_ready_once_it_stays() -> None:
    """After 20 s, at which the operator looks."""
    restarted = STARTING.at(30).with_pods(scheduler_pod(), restarted_worker(ready_since=25))
    claimed = restarted.reporting("Running", "Running").after_decision()
    assert requeued_at(claimed.decide()) == at(40), "when workers are due"
    assert requeued_at(claimed.at(40).decide()) == at(45)
    status = status_of(claimed.at(45).decide())
    assert status is not None
    assert condition(status, "ClusterReady")["status"] == "True"


def test_a_quota_that_leaves_no_room_for_workers_is_the_reason_of_the_end() -> None:
    """Also when the agent has claimed the run meanwhile: there is room for the scheduler."""
    poor = STARTING.at(8).with_pods(scheduler_pod()).with_replica_failure(QUOTA)
    claimed = poor.after_decision().reporting("Running", "Running")
    status = status_of(claimed.at(9).decide())
    assert status is not None
    assert (status["state"], condition(status, "ClusterReady")["reason"]) == ("Running", "QuotaExceeded")
    status = status_of(claimed.at(9).after_decision().at(400).decide())
    assert status is not None
    assert (status["state"], condition(status, "Finished")["reason"]) == ("Crashed", "QuotaExceeded")


RUNNING = make_flow_run().running()
LOST = {
    "its scheduler pod is gone": RUNNING.with_pods(worker_pod()),
    "another scheduler pod has come": RUNNING.with_pods(scheduler_pod(uid="another"), worker_pod()),
    "its scheduler pod is going": RUNNING.with_pods(scheduler_pod(deleting=True), worker_pod()),
    "its scheduler pod was evicted": RUNNING.with_pods(scheduler_pod(phase="Failed"), worker_pod()),
    "its DaskCluster is gone": RUNNING.without_cluster(),
    "its DaskCluster is going": RUNNING.with_cluster(deleting=True),
    "its DaskCluster went while it started": STARTING.with_pods(scheduler_pod()).without_cluster(),
}


@pytest.mark.parametrize("sentence", LOST)
def test_a_run_crashes_when(sentence: str) -> None:
    """Without a store the results are gone with the scheduler."""
    status = status_of(LOST[sentence].at(60).decide())
    assert status is not None
    assert (status["state"], condition(status, "Succeeded")["reason"]) == ("Crashed", "ClusterLost")
    assert condition(status, "ClusterReady")["reason"] == "ClusterLost"


def test_the_final_report_counts_even_if_the_pod_is_gone_by_now() -> None:
    """What the agent reported is the truth; the pod may go after it."""
    status = status_of(RUNNING.with_pods().reporting("Success", "Succeeded").decide())
    assert status is not None
    assert status["state"] == "Success"


@pytest.mark.parametrize(("name", "reason"), [("agent", "AgentUnavailable"), ("scheduler", "ClusterLost")])
def test_a_scheduler_pod_that_stops_answering_is_told_and_then_ends_the_run(name: str, reason: str) -> None:
    """Told after 10 s of not being ready, over after 30 s; a restart in between is forgiven."""
    others = [ContainerView(other, ready=True) for other in ("agent", "scheduler") if other != name]
    hung = RUNNING.with_pods(unready(ContainerView(name, ready=False), *others), worker_pod())
    assert status_of(hung.at(29).decide()) is None
    status = status_of(hung.at(30).decide())
    assert status is not None
    assert (status["state"], condition(status, "ClusterReady")["reason"]) == ("Running", "ClusterNotReady")
    told = hung.at(30).after_decision()
    back = told.at(45).with_pods(scheduler_pod(ready_changed=at(44)), worker_pod())
    status = status_of(back.decide())
    assert status is not None
    assert condition(status, "ClusterReady")["status"] == "True"
    actions = told.at(50).decide()
    assert kinds(actions) == [ApplyStatus, DeleteRole, RecordEvent]
    status = status_of(actions)
    assert status is not None
    assert (status["state"], condition(status, "Finished")["reason"]) == ("Crashed", reason)


def test_an_agent_that_crashes_again_and_again_is_not_waited_for() -> None:
    """Kubernetes' back-off says that it will not stay up."""
    loop = waiting("agent", "CrashLoopBackOff", restarts=3, exit_code=137, ended="OOMKilled")
    status = status_of(RUNNING.at(21).with_pods(unready(loop), worker_pod()).decide())
    assert status is not None
    assert condition(status, "Finished")["reason"] == "AgentUnavailable"
    assert "OOMKilled" in condition(status, "Finished")["message"]


def test_slow_probes_at_the_start_are_no_sign_of_anything() -> None:
    """A pod that was long on its way to Ready is not held against a run that has just been claimed."""
    slow = STARTING.at(120).with_pods(
        scheduler_pod(ready=False, ready_changed=at(1), containers=(ContainerView("agent", ready=False),)),
        worker_pod(),
    )
    claimed = slow.reporting("Running", "Running")
    status = status_of(claimed.decide())
    assert status is not None
    assert (status["state"], condition(status, "ClusterReady")["status"]) == ("Running", "True")
    assert status_of(claimed.after_decision().at(129).decide()) is None


@pytest.mark.parametrize(
    ("of_flow", "of_run", "due"), [("1m", None, 60), ("1m", "2m", 120), ("2m", "1m", 60), (None, "90s", 90)]
)
def test_a_run_fails_at_its_timeout(of_flow: str | None, of_run: str | None, due: int) -> None:
    """It counts from startTime; the run's own wins over the Flow's."""
    builder = make_flow_run().with_flow(**({"timeout": of_flow} if of_flow else {}))
    running = builder.with_spec(**({"timeout": of_run} if of_run else {})).running()
    assert status_of(running.at(due - 1).decide()) is None
    assert requeued_at(running.at(due - 1).decide()) == at(due)
    actions = running.at(due).decide()
    assert kinds(actions) == [ApplyStatus, DeleteRole, RecordEvent]
    status = status_of(actions)
    assert status is not None
    assert (status["state"], condition(status, "Succeeded")["reason"]) == ("Failed", "TimedOut")


def test_time_before_the_claim_does_not_count_for_the_timeout() -> None:
    """A slow start is not the flow's fault."""
    slow = make_flow_run().with_flow(timeout="1m").starting().with_pods(scheduler_pod())
    assert DeleteRole not in kinds(slow.at(200).decide())


TERMINATED = {
    "a new run": make_flow_run(),
    "a run for later": make_flow_run().with_spec(startTime="2027-01-01T00:00:00Z").after_decision(),
    "a run that waits for its Flow": make_flow_run().without_flow().after_decision(),
    "a starting run": STARTING,
    "a running run": RUNNING,
    "a running run that has lost its cluster": RUNNING.without_cluster(),
}


@pytest.mark.parametrize("sentence", TERMINATED)
def test_terminate_ends(sentence: str) -> None:
    """At once, wherever the run is."""
    builder: Builder = TERMINATED[sentence]
    actions = builder.patched(terminate="Immediate").decide()
    status = status_of(actions)
    assert status is not None
    assert (status["state"], condition(status, "Succeeded")["reason"]) == ("Cancelled", "Terminated")
    assert condition(status, "Stalled")["status"] == "False"
    assert CreateDaskCluster not in kinds(actions)
    assert (DeleteRole in kinds(actions)) == (builder.run.status.cluster is not None)


def test_terminating_an_ended_run_changes_nothing_about_its_end() -> None:
    """Success stays Success."""
    ended = RUNNING.reporting("Success", "Succeeded").after_decision().without_cluster()
    status = status_of(ended.patched(terminate="Immediate").decide())
    assert status is not None
    assert status["state"] == "Success"


def test_what_was_unfinished_is_closed_in_the_same_write() -> None:
    """A status never shows work that nobody does any more."""
    tasks = [
        {"name": "extract", "state": "Success", "runCount": 1},
        {"name": "load", "state": "Running", "runCount": 1},
        {
            "name": "each",
            "state": "Mapped",
            "children": {
                "total": 4,
                "counts": {"Success": 1, "Running": 1, "Pending": 2},
                "indexes": [{"state": "Running", "indexes": "1"}, {"state": "Pending", "indexes": "2-3"}],
            },
        },
    ]
    counts = {"Success": 2, "Running": 2, "Pending": 2}
    busy = RUNNING.reporting("Running", "Running", tasks=tasks, counts=counts, progress="2/6")
    status = status_of(busy.with_pods().at(60).decide())
    assert status is not None
    assert status["flow"]["state"] == "Crashed"
    assert status["flow"]["reason"] == "ClusterLost"
    assert status["flow"]["counts"] == {"Success": 2, "Crashed": 4}
    assert [task["state"] for task in status["tasks"]] == ["Success", "Crashed", "Mapped"]
    assert status["tasks"][2]["children"]["counts"] == {"Success": 1, "Crashed": 3}
    status = status_of(busy.patched(terminate="Immediate").decide())
    assert status is not None
    assert status["flow"]["counts"] == {"Success": 2, "Cancelled": 4}
