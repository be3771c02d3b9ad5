"""Other ways to say what shall run and when: inline flows, flows as Python code, start times, tasks that wait."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest

from .flows import Object, make_flow, make_run, make_spec
from .installation import NEVER
from .runs import Runs, condition, state, task_status
from .watching import Version

PYTHON = {
    "pipeline.py": """
        import os

        from flowkiln import Flow, Parameter, task, unmapped


        @task
        def numbers(count):
            return list(range(count))


        @task
        def add(number, more):
            return number + more


        @task(name="say the sum")
        def say(numbers):
            os.write(1, b"SUM %d\\n" % sum(numbers))


        @task
        def fail():
            raise ValueError("nobody minds")


        with Flow("whatever it is called") as flow:
            count = Parameter("count", default=2)
            said = say(add.map(numbers(count), more=unmapped(Parameter("more"))))
            fail()
        flow.set_reference_tasks([said])
    """
}
LATER = timedelta(seconds=8)


@dataclass(frozen=True)
class Observed:
    """What was seen of three runs that ran at the same time, and of one whose time is far away."""

    runs: dict[str, Object]
    versions: dict[str, list[Version]]
    scheduled: Object
    belongings_before_its_time: list[str]
    start_time: datetime
    worker_lines: list[str]
    paused: Object
    terminated: Object


@pytest.fixture(scope="module")
def observed(shared_runs: Runs) -> Observed:
    """Apply the runs at once and see them through."""
    runs = shared_runs
    start_time = (datetime.now(UTC) + LATER).replace(microsecond=0)
    inline = make_spec({"name": "say", "command": ["echo", "inline and on time"]})
    manual = make_flow(
        "manual",
        {"name": "before", "command": ["true"]},
        {"name": "approve", "command": ["true"], "after": ["before"], "trigger": {"rule": "ManualOnly"}},
        {"name": "deploy", "command": ["true"], "after": ["approve"]},
    )
    code = make_flow(
        "code",
        source=PYTHON,
        entrypoint="pipeline:flow",
        parameters=[{"name": "count", "schema": {"type": "integer"}}, {"name": "more", "default": 10}],
    )
    with runs.record() as recorded, runs.follow_logs() as logs:
        runs.apply(
            make_run("never", inline, startTime=NEVER),
            make_run("later", inline, startTime=start_time.isoformat().replace("+00:00", "Z")),
            code,
            make_run("code", "code", parameters={"count": 4}),
            manual,
            make_run("manual", "manual"),
        )
        scheduled = runs.wait_until("never", "waits", lambda run: bool(state(run)))
        owned_objects = runs.owned_objects(scheduled)
        paused = runs.wait_until("manual", "waits for somebody", lambda run: state(run) == "Paused")
        runs.patch("manual", {"terminate": "Immediate"})
        finished = {name: runs.finish(name) for name in ("later", "code", "manual")}
        logs.wait_for_the_end()
        return Observed(
            runs=finished,
            versions={name: recorded.of(name) for name in finished},
            scheduled=scheduled,
            belongings_before_its_time=owned_objects,
            start_time=start_time,
            worker_lines=logs.lines("worker"),
            paused=paused,
            terminated=finished["manual"],
        )


def test_run_waits_for_its_start_time(observed: Observed) -> None:
    """It is Scheduled, WaitingForStartTime, with nothing created, and starts when its time has come."""
    assert state(observed.scheduled) == "Scheduled"
    assert condition(observed.scheduled, "Finished")["reason"] == "WaitingForStartTime"
    assert condition(observed.scheduled, "Reconciling")["status"] == "True"
    assert observed.belongings_before_its_time == []
    assert state(observed.runs["later"]) == "Success"
    assert datetime.fromisoformat(observed.runs["later"]["status"]["startTime"]) >= observed.start_time
    pending = [version for version in observed.versions["later"] if version.status.get("state") == "Pending"]
    assert all(version.at >= observed.start_time for version in pending)


def test_flow_may_be_inside_the_run(observed: Observed) -> None:
    """A run with a flowSpec needs no Flow; its plan names none by generation."""
    assert any(line.endswith("inline and on time") for line in observed.worker_lines)
    assert "flowGeneration" not in observed.runs["later"]["status"]["plan"]


def test_flow_may_be_python_code(observed: Observed) -> None:
    """An entrypoint's Flow runs with the parameters of the run and of the Flow resource, maps and reference tasks."""
    run = observed.runs["code"]
    assert "SUM 46" in observed.worker_lines
    assert state(run) == "Success"
    assert task_status(run, "fail")["state"] == "Failed"
    assert {task["name"] for task in run["status"]["tasks"]} == {
        "count",
        "more",
        "numbers",
        "add",
        "say-the-sum",
        "fail",
    }


def test_run_with_nothing_but_a_waiting_task_is_paused(observed: Observed) -> None:
    """A ManualOnly task makes it Paused, WaitingForInput, with its cluster kept; what comes after waits."""
    assert condition(observed.paused, "Finished")["reason"] == "WaitingForInput"
    assert condition(observed.paused, "Reconciling")["status"] == "False"
    tasks = {task["name"]: task["state"] for task in observed.paused["status"]["tasks"]}
    assert tasks == {"before": "Success", "approve": "Paused", "deploy": "Pending"}
    assert "approve" in observed.paused["status"]["flow"]["message"]


def test_paused_run_can_be_ended(observed: Observed) -> None:
    """`terminate: Immediate` ends it as Cancelled, and what never ran is shown as that."""
    assert state(observed.terminated) == "Cancelled"
    tasks = {task["name"]: task["state"] for task in observed.terminated["status"]["tasks"]}
    assert tasks == {"before": "Success", "approve": "Cancelled", "deploy": "Cancelled"}
