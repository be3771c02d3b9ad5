"""FlowRuns from their creation to their end on a real cluster, with the operator installed from its manifests."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest

from .harness.commands import wait_until
from .harness.interface import Cluster, Images
from .installation import SYSTEM, Runs, condition, flow, installed, small_flow

__all__ = ["installed"]

SHORT = {"startDeadline": "25s"}


@pytest.fixture
def runs(cluster: Cluster, installed: Images, namespace: str) -> Runs:
    """Return the FlowRuns of a fresh namespace with the restricted profile."""
    return Runs(cluster, namespace)


def test_a_run_succeeds_and_gives_everything_back(runs: Runs) -> None:
    """Pods of the restricted profile do the work; afterwards only the FlowRun and its records are left."""
    runs.apply(flow("hello", **small_flow("quick", "quick")))
    runs.create("hello-1", flowRef={"name": "hello"})
    status = runs.wait_for_state("hello-1", "Success")
    assert status["flow"]["counts"] == {"Success": 2}
    assert {c["type"]: c["status"] for c in status["conditions"]} == {
        "Succeeded": "True",
        "Finished": "True",
        "Reconciling": "False",
        "Stalled": "False",
        "ClusterReady": "False",
    }
    runs.wait_until_empty("daskclusters.kubernetes.dask.org")
    runs.wait_until_empty("pods")
    events = json.loads(runs.kubectl("get", "events", "--field-selector=involvedObject.kind=FlowRun", "-o=json"))
    assert [event["reason"] for event in events["items"]] == ["Succeeded"]
    assert runs.kubectl("get", "flowruns.flowkiln.dev", "hello-1", "--output=jsonpath={.metadata.finalizers}") == ""
    annotations = runs.get("hello-1")["metadata"].get("annotations", {})
    assert not [key for key in annotations if "kopf" in key]


def test_a_run_costs_at_most_fifteen_writes_of_ours(own_cluster: Cluster, runs: Runs) -> None:
    """Operator and agent together, as the API server's audit log counts them; refused ones count too."""
    runs.create("thrifty", flowSpec=small_flow("quick", "quick"))
    runs.wait_for_state("thrifty", "Success")
    runs.wait_until_empty("daskclusters.kubernetes.dask.org")
    writes: Counter[str] = Counter()
    for event in own_cluster.audit_events():
        reference = event.get("objectRef", {})
        user = event["user"]["username"]
        ours = user == f"system:serviceaccount:{SYSTEM}:flowkiln-operator" or ":flowrun-" in user
        if ours and reference.get("namespace") == runs.namespace and event["verb"] not in ("get", "list", "watch"):
            writes[f"{user.rsplit(':', 1)[-1][:8]} {event['verb']} {reference['resource']}"] += 1
    assert sum(writes.values()) <= 15, writes


def test_a_failed_task_fails_the_run(runs: Runs) -> None:
    """The run says which reason it has, and the task says why."""
    runs.create("wrong", flowSpec=small_flow("wrong"))
    status = runs.wait_for_state("wrong", "Failed")
    assert condition(status, "Succeeded")["reason"] == "TaskFailed"
    assert "no rows" in status["tasks"][0]["message"]


def test_an_invalid_run_fails_at_once_and_creates_nothing(runs: Runs) -> None:
    """One sentence that names the field."""
    runs.apply(flow("hello", **small_flow("quick")))
    runs.create("invalid", flowRef={"name": "hello"}, parameters={"colour": "red"})
    status = runs.wait_for_state("invalid", "Failed", seconds=10)
    assert condition(status, "Succeeded")["reason"] == "InvalidSpec"
    assert condition(status, "Succeeded")["message"].startswith("spec.parameters.colour: there is no parameter")
    for kind in ("configmaps", "secrets", "serviceaccounts", "daskclusters.kubernetes.dask.org"):
        assert runs.items(kind) == []


def test_a_run_waits_for_its_flow_and_starts_when_it_comes(runs: Runs) -> None:
    """Tools may apply the FlowRun first."""
    runs.create("early", flowRef={"name": "late"})
    runs.create("forlorn", flowRef={"name": "never"}, startDeadline="3s")
    runs.wait_for("early", "waits", lambda s: s.get("state") == "Pending", seconds=10)
    assert condition(runs.status("early"), "Succeeded")["reason"] == "FlowNotFound"
    runs.apply(flow("late", **small_flow("quick")))
    runs.wait_for_state("early", "Success")
    assert condition(runs.wait_for_state("forlorn", "Failed"), "Finished")["reason"] == "StartDeadlineExceeded"


def test_a_run_for_later_is_scheduled_until_then(runs: Runs) -> None:
    """Nothing is created for it before its time."""
    runs.create("later", flowSpec=small_flow("quick"), startTime="2999-01-01T00:00:00Z")
    status = runs.wait_for("later", "is scheduled", lambda s: s.get("state") == "Scheduled", seconds=10)
    assert condition(status, "Succeeded")["reason"] == "WaitingForStartTime"
    assert runs.items("configmaps") == []


TROUBLE: dict[str, tuple[dict[str, Any], str, str]] = {
    "ImagePullFailed": (
        {"image": "registry.invalid/none:1", "imagePullPolicy": "Never"},
        "ImagePullFailed",
        "registry.invalid",
    ),
    "Unschedulable": ({"podTemplate": {"nodeSelector": {"no-such": "node"}}}, "Unschedulable", "cannot be scheduled"),
    "unschedulable workers": (
        {"workers": {"resources": {"requests": {"memory": "100Ti"}}}},
        "Unschedulable",
        "cannot be scheduled",
    ),
}


@pytest.mark.parametrize("trouble", TROUBLE)
def test_a_cluster_that_does_not_come_up_says_why_and_then_crashes_the_run(runs: Runs, trouble: str) -> None:
    """ClusterReady names the cause while there is still hope; the same cause is the reason of the end."""
    fields, reason, words = TROUBLE[trouble]
    runs.create("unlucky", flowSpec=small_flow("quick", cluster={**SHORT, **fields}))

    def tells(status: dict[str, Any]) -> bool:
        return "conditions" in status and condition(status, "ClusterReady")["reason"] == reason

    status = runs.wait_for("unlucky", f"tells {reason}", tells, seconds=30)
    assert words in condition(status, "ClusterReady")["message"]
    status = runs.wait_for_state("unlucky", "Crashed", seconds=60)
    assert condition(status, "Succeeded")["reason"] == reason
    runs.wait_until_empty("pods")


def test_a_quota_is_told_and_then_crashes_the_run(runs: Runs) -> None:
    """The quota forbids the pods: the message is Kubernetes' own."""
    quota = {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": "none"},
        "spec": {"hard": {"pods": "0"}},
    }
    runs.apply(quota)
    runs.create("poor", flowSpec=small_flow("quick", cluster=SHORT))
    status = runs.wait_for_state("poor", "Crashed")
    assert condition(status, "Succeeded")["reason"] == "QuotaExceeded"
    assert "exceeded quota" in condition(status, "Succeeded")["message"]


def test_a_quota_on_our_own_objects_is_told_too(runs: Runs) -> None:
    """The operator itself is refused: nothing hangs, and once there is room the run goes on."""
    quota = {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": "none"},
        "spec": {"hard": {"count/daskclusters.kubernetes.dask.org": "0"}},
    }
    runs.apply(quota)
    wait_until(
        "the quota is counted",
        lambda: "hard" in runs.kubectl("get", "resourcequota", "none", "--output=jsonpath={.status}"),
        seconds=30,
    )
    runs.create("poor", flowSpec=small_flow("quick"))

    def tells(status: dict[str, Any]) -> bool:
        return "conditions" in status and condition(status, "ClusterReady")["reason"] == "QuotaExceeded"

    runs.wait_for("poor", "tells of the quota", tells, seconds=20)
    runs.kubectl("delete", "resourcequota", "none")
    runs.wait_for_state("poor", "Success")
    assert len([s for s in runs.items("secrets") if "-tls-" in s["metadata"]["name"]]) == 1


def test_terminate_ends_a_running_run_within_ten_seconds(runs: Runs) -> None:
    """Cancelled, with everything unfinished Cancelled too; the agent's late report changes nothing."""
    runs.create("long", flowSpec=small_flow("slow", "quick"))
    runs.wait_for("long", "has a running task", lambda s: s.get("flow", {}).get("counts", {}).get("Running") == 1)
    runs.patch("long", terminate="Immediate")
    status = runs.wait_for_state("long", "Cancelled", seconds=10)
    assert condition(status, "Succeeded")["reason"] == "Terminated"
    assert status["flow"]["state"] == "Cancelled"
    assert status["flow"]["counts"] == {"Cancelled": 2}
    assert [task["state"] for task in status["tasks"]] == ["Cancelled", "Cancelled"]
    runs.wait_until_empty("pods")
    assert runs.status("long") == status


def test_a_run_past_its_timeout_fails(runs: Runs) -> None:
    """The operator ends it, without asking the code that takes so long."""
    runs.create("long", flowSpec=small_flow("slow"), timeout="3s")
    status = runs.wait_for_state("long", "Failed")
    assert condition(status, "Succeeded")["reason"] == "TimedOut"
    assert status["flow"]["state"] == "Failed"
    assert status["flow"]["counts"] == {"Cancelled": 1}


def test_losing_the_scheduler_pod_crashes_the_run(runs: Runs) -> None:
    """Its results are gone: the status says so, and the replacement is not used."""
    runs.create("long", flowSpec=small_flow("slow"))
    runs.wait_for_state("long", "Running")
    runs.kubectl("delete", "pod", "--selector=dask.org/component=scheduler", "--wait=false")
    status = runs.wait_for_state("long", "Crashed", seconds=30)
    assert condition(status, "Succeeded")["reason"] == "ClusterLost"
    assert status["flow"]["state"] == "Crashed"
    runs.wait_until_empty("pods")


def test_losing_the_dask_cluster_crashes_the_run(runs: Runs) -> None:
    """Somebody deletes it: the run says so at once, and makes no second one."""
    runs.create("long", flowSpec=small_flow("slow"))
    status = runs.wait_for_state("long", "Running")
    runs.kubectl("delete", "daskclusters.kubernetes.dask.org", status["cluster"]["name"], "--wait=false")
    status = runs.wait_for_state("long", "Crashed", seconds=30)
    assert condition(status, "Succeeded")["reason"] == "ClusterLost"
    assert "was deleted" in condition(status, "Succeeded")["message"]
    runs.wait_until_empty("pods")


def test_a_restart_of_the_operator_changes_nothing_about_a_run(runs: Runs) -> None:
    """The same pods, the same attempt, the same start: and the run ends as it would have."""
    runs.create("steady", flowSpec=small_flow("slow", tasks=[slow_task(seconds=12)]))
    before = runs.wait_for_state("steady", "Running")
    pods = {pod["metadata"]["uid"]: pod["status"]["containerStatuses"][0]["restartCount"] for pod in runs.items("pods")}
    runs.cluster.kubectl("rollout", "restart", "deployment/flowkiln-operator", f"--namespace={SYSTEM}")
    runs.cluster.kubectl("rollout", "status", "deployment/flowkiln-operator", f"--namespace={SYSTEM}", "--timeout=60s")
    during = runs.status("steady")
    assert during["state"] == "Running"
    assert {
        pod["metadata"]["uid"]: pod["status"]["containerStatuses"][0]["restartCount"] for pod in runs.items("pods")
    } == pods
    after = runs.wait_for_state("steady", "Success")
    for field in ("startTime", "plan", "cluster"):
        assert before[field] == after[field]
    assert after["flow"]["attempt"] == before["flow"]["attempt"] == 1


def test_a_run_that_ends_while_the_operator_is_down_is_tidied_up_afterwards(runs: Runs) -> None:
    """The agent reports without us; the new process finds the report."""
    runs.create("alone", flowSpec=small_flow("slow", tasks=[slow_task(seconds=5)]))
    runs.wait_for_state("alone", "Running")
    scale = ("scale", "deployment/flowkiln-operator", f"--namespace={SYSTEM}")
    runs.cluster.kubectl(*scale, "--replicas=0")
    try:
        runs.wait_for("alone", "is reported", lambda s: s["flow"]["state"] == "Success")
        assert runs.status("alone")["state"] == "Running"
    finally:
        runs.cluster.kubectl(*scale, "--replicas=1")
    runs.wait_for_state("alone", "Success")
    runs.wait_until_empty("pods")


def test_deleting_a_run_deletes_all_of_it_even_without_the_operator(runs: Runs) -> None:
    """No finalizer of ours: Kubernetes does it by the owners."""
    runs.create("gone", flowSpec=small_flow("slow"))
    runs.wait_for_state("gone", "Running")
    scale = ("scale", "deployment/flowkiln-operator", f"--namespace={SYSTEM}")
    runs.cluster.kubectl(*scale, "--replicas=0")
    try:
        runs.kubectl("delete", "flowruns.flowkiln.dev", "gone", "--timeout=10s")
        kinds = ("pods", "configmaps", "secrets", "serviceaccounts", "roles", "networkpolicies")
        for kind in (*kinds, "daskclusters.kubernetes.dask.org"):
            runs.wait_until_empty(kind)
    finally:
        runs.cluster.kubectl(*scale, "--replicas=1")


def test_a_finished_run_is_deleted_after_its_ttl(runs: Runs) -> None:
    """ttlAfterFinished may be set when the run has ended."""
    runs.create("brief", flowSpec=small_flow("quick"))
    runs.wait_for_state("brief", "Success")
    runs.patch("brief", ttlAfterFinished="1s")
    wait_until("the FlowRun is gone", lambda: not runs.kubectl("get", "flowruns.flowkiln.dev", "-o=name"), seconds=20)


def test_the_cluster_of_a_failed_run_is_kept_when_its_author_says_so(runs: Runs) -> None:
    """Somebody wants to look at the pods first."""
    runs.create("kept", flowSpec=small_flow("wrong", cluster={"retainAfterFailure": "10s"}))
    status = runs.wait_for_state("kept", "Failed")
    assert condition(status, "ClusterReady")["status"] == "True"
    assert len(runs.items("pods")) == 2
    runs.wait_until_empty("pods")
    assert condition(runs.status("kept"), "ClusterReady")["reason"] == "Deleted"


def test_a_name_that_is_taken_crashes_the_run(runs: Runs) -> None:
    """Somebody else's object is neither used nor changed."""
    runs.create("conflict", flowRef={"name": "hello"})
    uid = runs.get("conflict")["metadata"]["uid"]
    plan = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": f"conflict-{uid[:6]}-plan"},
        "data": {"a": "b"},
    }
    runs.apply(plan)
    runs.apply(flow("hello", **small_flow("quick")))
    status = runs.wait_for_state("conflict", "Crashed", seconds=20)
    assert condition(status, "Succeeded")["reason"] == "NameConflict"


def slow_task(*, seconds: int) -> dict[str, Any]:
    """Return a task that takes its time."""
    return {"name": "slow", "function": "steps:slow", "inputs": [{"name": "seconds", "value": seconds}]}
