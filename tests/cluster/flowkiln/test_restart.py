"""The controllers die, and the operator stays away for a while: runs do not notice."""

from __future__ import annotations

from functools import partial
from typing import Any

from tests.cluster.harness.commands import wait_until

from .controllers import kill, without
from .flows import Object, make_run, make_spec
from .holding import SOURCE as HOLDING
from .holding import release
from .installation import DASK_KUBERNETES, OPERATOR, Installation
from .rooms import room
from .runs import Runs, condition, label_of, state

SOURCE = {
    "steps.py": """
        def rows():
            return list(range(4))

        def total(rows):
            return sum(rows)

        def fail(rows):
            raise ValueError("no rows")
    """,
    **HOLDING,
}
ROWS: Object = {"name": "rows", "function": "steps:rows"}
EACH: Object = {"name": "each", "function": "holding:hold", "inputs": [{"name": "value", "task": "rows", "map": True}]}
TOTAL: Object = {"name": "total", "function": "steps:total", "inputs": [{"name": "rows", "task": "each"}]}
FAIL: Object = {"name": "fail", "function": "steps:fail", "inputs": [{"name": "rows", "task": "each"}]}
WORKERS = {"workers": {"threads": 2}}


def lives(runs: Runs, name: str) -> dict[str, Any]:
    """Return the uid of each pod of a run, and how often its containers were restarted."""
    pods = runs.list("pods", selector=f"flowkiln.dev/run={label_of(runs.flow_run(name))}")
    return {
        pod["metadata"]["uid"]: [status["restartCount"] for status in pod["status"]["containerStatuses"]]
        for pod in pods
    }


def work(run: Object) -> Object:
    """Return what the engine says of its work."""
    flow = run["status"]["flow"]
    return {"attempt": flow["attempt"], "holder": flow["holder"], "runCount": flow["runCount"]}


def two_children_wait(run: Object) -> bool:
    """Tell whether a run is at work, and as far as it comes by itself."""
    counts: Object = run.get("status", {}).get("flow", {}).get("counts", {})
    return state(run) == "Running" and counts.get("Running") == 2


def events_about(runs: Runs, name: str) -> list[Object]:
    """Return the Events about a run."""
    return [event for event in runs.list("events") if event["involvedObject"]["name"] == name]


def test_runs_outlive_the_operator(flowkiln: Installation) -> None:
    """Same pods, same attempt, same run counts, whatever happens to the controllers, and each run ends as it should.

    One run is at work while both controllers' pods are killed and the operator is then gone for a while; another fails
    while it is gone, one is just being started when it is killed, one is created while it is gone, and one is
    terminated then.
    """
    with room(
        flowkiln,
        make_run("succeeds", make_spec(ROWS, EACH, TOTAL, source=SOURCE, cluster=WORKERS)),
        make_run("fails", make_spec(ROWS, EACH, FAIL, source=SOURCE, cluster=WORKERS)),
        make_run("waits", "nowhere"),
    ) as runs:
        names = ("succeeds", "fails")
        before = {name: runs.wait_until(name, "two children wait", two_children_wait) for name in names}
        pods = {name: lives(runs, name) for name in names}
        runs.apply(make_run("starts", make_spec(ROWS, source=SOURCE)))
        kill(flowkiln, OPERATOR)
        kill(flowkiln, DASK_KUBERNETES)
        for name in names:
            now = runs.flow_run(name)
            assert state(now) == "Running"
            assert work(now) == work(before[name])
            assert lives(runs, name) == pods[name]
        with without(flowkiln, OPERATOR):
            release(runs, "fails")
            runs.wait_until("fails", "is reported", lambda run: run["status"]["flow"]["state"] == "Failed")
            runs.apply(make_run("late", make_spec({"name": "a", "function": "steps:rows", "after": ["nowhere"]})))
            assert state(runs.flow_run("fails")) == "Running"
            assert state(runs.flow_run("late")) == ""
            runs.patch("waits", {"terminate": "Immediate"})
            assert lives(runs, "succeeds") == pods["succeeds"]
            assert lives(runs, "fails") == pods["fails"]
        release(runs, "succeeds")
        for name, end, reason in (
            ("succeeds", "Success", "Succeeded"),
            ("fails", "Failed", "TaskFailed"),
            ("starts", "Success", "Succeeded"),
            ("late", "Failed", "InvalidSpec"),
            ("waits", "Cancelled", "Terminated"),
        ):
            run = runs.finish(name)
            assert state(run) == end
            assert condition(run, "Succeeded")["reason"] == reason
        assert runs.flow_run("starts")["status"]["flow"]["attempt"] == 1
        assert runs.flow_run("starts")["status"]["cluster"]["number"] == 1
        for name in names:
            run = runs.flow_run(name)
            assert work(run) == work(before[name])
            for field in ("startTime", "plan", "cluster"):
                assert run["status"][field] == before[name]["status"][field]
            assert {task["name"]: task.get("runCount", 0) for task in run["status"]["tasks"]}["rows"] == 1
            # It comes after the status that tells of the end.
            wait_until(f"{name} has its Event", partial(events_about, runs, name), seconds=60)
            runs.wait_until(name, "its pods are gone", lambda run: lives(runs, run["metadata"]["name"]) == {})
            assert len(events_about(runs, name)) == 1
