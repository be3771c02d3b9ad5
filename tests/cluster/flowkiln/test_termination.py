"""Runs that are ended before they end by themselves: by a person, by a timeout, by their time to live."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import pytest

from tests.cluster.harness.commands import wait_until

from .flows import Object, make_flow, make_run
from .installation import Installation
from .rooms import room
from .runs import FLOW_RUN, Runs, condition, label_of, state, task_status

SOURCE = {
    "steps.py": """
        import time

        def rows():
            return [1, 2]

        def sleep(seconds):
            time.sleep(600 * seconds)

        def fail():
            raise ValueError("no rows")
    """
}
ROWS: Object = {"name": "rows", "function": "steps:rows"}
SLEEP: Object = {"name": "sleep", "function": "steps:sleep", "inputs": [{"name": "seconds", "value": 600}]}
EACH: Object = {"name": "each", "function": "steps:sleep", "inputs": [{"name": "seconds", "task": "rows", "map": True}]}
PROGRAM: Object = {"name": "program", "command": ["sleep", "600"], "after": ["rows"]}
LAST: Object = {"name": "last", "function": "steps:rows", "after": ["each", "program"]}
LATER = "2999-01-01T00:00:00Z"
RUNNING = ("DaskCluster/", "DaskWorkerGroup/", "Deployment/", "ReplicaSet/", "Pod/", "Service/")


@pytest.fixture(scope="module")
def ended(flowkiln: Installation) -> Iterator[Runs]:
    """Start all runs of this module at once."""
    with room(
        flowkiln,
        make_flow("working", ROWS, EACH, PROGRAM, LAST, source=SOURCE, cluster={"workers": {"threads": 2}}),
        make_flow("sleeping", ROWS, SLEEP, source=SOURCE, timeout="4s"),
        make_flow("task-timeout", {**SLEEP, "timeout": "1s"}, source=SOURCE),
        make_flow(
            "failing", {"name": "fail", "function": "steps:fail"}, source=SOURCE, cluster={"retainAfterFailure": "40s"}
        ),
        make_run("working", "working"),
        make_run("flow-timeout", "sleeping"),
        make_run("run-timeout", "sleeping", timeout="2s"),
        make_run("task-timeout", "task-timeout"),
        make_run("kept", "failing"),
        make_run("for-later", "working", startTime=LATER),
        make_run("without-flow", "nowhere"),
        make_run("invalid", "working", parameters={"no": "such"}, ttlAfterFinished="1s"),
    ) as runs:
        yield runs


def counts(run: Object) -> Object:
    """Return how many task runs are in which state."""
    found: Object = run.get("status", {}).get("flow", {}).get("counts", {})
    return found


def is_deleted(runs: Runs, name: str) -> bool:
    """Tell whether there is no FlowRun of this name any more."""
    return not runs.exists(FLOW_RUN, name)


def is_quiet(runs: Runs, run: Object) -> bool:
    """Tell whether nothing of a run is left that could do anything."""
    return not [thing for thing in runs.owned_objects(run) if thing.startswith(RUNNING)]


def test_the_cluster_of_a_failed_run_is_kept_for_a_look_at_it(ended: Runs) -> None:
    """cluster.retainAfterFailure: the pods stay, with their logs. The last test of this module sees them go."""
    run = ended.finish("kept")
    assert state(run) == "Failed"
    assert condition(run, "ClusterReady")["status"] == "True"
    assert len([thing for thing in ended.owned_objects(run) if thing.startswith("Pod/")]) == 2
    selector = f"--selector=flowkiln.dev/run={label_of(run)},dask.org/component=scheduler"
    assert "no rows" in ended.kubectl("logs", selector, "--container=agent", "--tail=-1")


def test_terminate_immediate_ends_a_running_run(ended: Runs) -> None:
    """Cancelled, although Python code and a program are at work; what was not done is shown as Cancelled."""
    ended.wait_until(
        "working",
        "two children run",
        lambda run: run.get("status", {}).get("flow", {}).get("counts", {}).get("Running", 0) >= 2,
    )
    ended.patch("working", {"terminate": "Immediate"})
    run = ended.wait_until("working", "is Cancelled", lambda run: state(run) == "Cancelled")
    assert condition(run, "Succeeded")["reason"] == "Terminated"
    assert {type: condition(run, type)["status"] for type in ("Succeeded", "Finished", "Stalled")} == {
        "Succeeded": "False",
        "Finished": "True",
        "Stalled": "False",
    }
    flow = run["status"]["flow"]
    assert (flow["state"], flow["reason"]) == ("Cancelled", "Terminated")
    assert {task["name"]: task["state"] for task in run["status"]["tasks"]} == {
        "rows": "Success",
        "each": "Mapped",
        "program": "Cancelled",
        "last": "Cancelled",
    }
    assert task_status(run, "each")["children"]["counts"] == {"Cancelled": 2}
    assert set(flow["counts"]) == {"Success", "Cancelled"}
    ended.wait_until("working", "nothing of it runs any more", lambda run: is_quiet(ended, run))
    later = ended.flow_run("working")["status"]
    assert {field: later[field] for field in ("flow", "tasks", "state", "completionTime")} == {
        field: run["status"][field] for field in ("flow", "tasks", "state", "completionTime")
    }


@pytest.mark.parametrize("name", ["for-later", "without-flow"])
def test_terminate_immediate_ends_a_run_that_waits(ended: Runs, name: str) -> None:
    """Cancelled, and nothing was ever created."""
    ended.wait_until(name, "waits", lambda run: state(run) in ("Scheduled", "Pending"))
    ended.patch(name, {"terminate": "Immediate"})
    run = ended.wait_until(name, "is Cancelled", lambda run: state(run) == "Cancelled")
    assert condition(run, "Succeeded")["reason"] == "Terminated"
    assert ended.owned_objects(run) == []


def test_terminate_cannot_be_taken_back(ended: Runs) -> None:
    """The API server refuses it, before and after the run has ended."""
    ended.finish("for-later")
    with pytest.raises(Exception, match="terminate cannot be changed or taken back"):
        ended.patch("for-later", {"terminate": None})


@pytest.mark.parametrize(("name", "timeout"), [("flow-timeout", "0:00:04"), ("run-timeout", "0:00:02")])
def test_a_run_that_takes_longer_than_its_timeout_fails(ended: Runs, name: str, timeout: str) -> None:
    """Failed, TimedOut; the run's own timeout wins over its flow's; the task that was cut off is Cancelled."""
    run = ended.finish(name)
    assert state(run) == "Failed"
    assert condition(run, "Succeeded")["reason"] == "TimedOut"
    assert timeout in condition(run, "Succeeded")["message"]
    assert run["status"]["flow"]["reason"] == "TimedOut"
    assert task_status(run, "sleep")["state"] == "Cancelled"
    ended.wait_until(name, "nothing of it runs any more", lambda run: is_quiet(ended, run))


def test_a_task_that_takes_longer_than_its_timeout_fails(ended: Runs) -> None:
    """The task is TimedOut, and with it the run has Failed for a task."""
    run = ended.finish("task-timeout")
    assert state(run) == "Failed"
    assert task_status(run, "sleep")["state"] == "TimedOut"
    assert condition(run, "Succeeded")["reason"] == "TaskFailed"
    ended.wait_until("task-timeout", "nothing of it runs any more", lambda run: is_quiet(ended, run))


def test_a_run_is_deleted_when_its_time_to_live_is_over(ended: Runs) -> None:
    """ttlAfterFinished, whether it was there from the beginning or is set on a finished run, takes the FlowRun too."""
    run = ended.finish("task-timeout")
    ended.patch("task-timeout", {"ttlAfterFinished": "1s"})
    for name in ("invalid", "task-timeout"):
        wait_until(f"{name} is gone", partial(is_deleted, ended, name), seconds=60)
    wait_until("nothing of it is left", lambda: ended.owned_objects(run) == [], seconds=60)


def test_a_kept_cluster_goes_when_its_time_is_over(ended: Runs) -> None:
    """cluster.retainAfterFailure is over a while after the end, and then nothing of the run goes on."""
    ended.finish("kept")
    run = ended.wait_until("kept", "its cluster goes", lambda run: is_quiet(ended, run))
    assert condition(run, "ClusterReady")["reason"] == "Deleted"
