"""What people may write about a task in YAML does what its description says: one run, looked at field by field."""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import pytest

from .flows import Object, make_flow, make_run
from .runs import Runs, state, task_status
from .watching import Logs

SECRET = "pa55-w0rd-that-nobody-may-see"
STEPS = """
    import hashlib
    import json
    import os
    import time

    import flowkiln
    from flowkiln.engine import signals
    from lib.arithmetic import twice


    def seen(name, value):
        os.write(1, b"SEEN " + json.dumps([name, value]).encode() + b"\\n")  # one write: threads share the stream


    def note(**inputs):
        seen(flowkiln.context.task_name, inputs)
        return inputs


    def digest(secret):
        seen("secret", hashlib.sha256(secret.encode()).hexdigest())


    def look_around():
        names = ("team", "over", "own", "parameters", "task_name", "task_run_count", "map_index")
        seen("context", {name: flowkiln.context.get(name) for name in names})


    def go_first():
        time.sleep(1)
        open("/tmp/first", "w").close()


    def go_second():
        seen("first was done", os.path.exists("/tmp/first"))


    def numbers():
        return [1, 2, 3]


    def double(number, text):
        seen("double", [number, text, flowkiln.context.map_index])
        return twice(number)


    def flaky():
        seen("flaky", time.time())
        if flowkiln.context.task_run_count < 5:
            raise ConnectionError("not yet")


    def good():
        return 1


    def bad():
        raise ValueError("bad on purpose")


    def skipped():
        raise signals.SKIP("nothing to do")


    def yes(upstream_states):
        seen("upstream", sorted(type(state).__name__ for state in upstream_states))
        return True


    def no(upstream_states):
        return False


    def task_changed(task, old, new):
        seen("task changed", [task.name, sorted(task.tags), type(old).__name__, type(new).__name__])
        return new


    def flow_changed(flow, old, new):
        seen("flow changed", [flow.name, type(old).__name__, type(new).__name__])
        return new
"""

Trigger = Mapping[str, Any]

TRIGGERS: dict[str, tuple[list[str], Trigger, str]] = {
    "all-successful": (["good", "bad"], {"rule": "AllSuccessful"}, "TriggerFailed"),
    "default": (["good", "bad"], {}, "TriggerFailed"),
    "all-failed": (["good", "bad"], {"rule": "AllFailed"}, "TriggerFailed"),
    "all-failed-of-one": (["bad"], {"rule": "AllFailed"}, "Success"),
    "any-successful": (["good", "bad"], {"rule": "AnySuccessful"}, "Success"),
    "any-failed": (["good", "bad"], {"rule": "AnyFailed"}, "Success"),
    "any-failed-of-none": (["good"], {"rule": "AnyFailed"}, "TriggerFailed"),
    "all-finished": (["good", "bad"], {"rule": "AllFinished"}, "Success"),
    "one-successful": (["good", "bad"], {"rule": "SomeSuccessful", "atLeast": 1}, "Success"),
    "two-successful": (["good", "bad"], {"rule": "SomeSuccessful", "atLeast": 2}, "TriggerFailed"),
    "half-successful": (["good", "bad"], {"rule": "SomeSuccessful", "atLeast": "50%"}, "Success"),
    "no-more-than-none": (["good", "bad"], {"rule": "SomeSuccessful", "atMost": 0}, "TriggerFailed"),
    "half-failed": (["good", "bad"], {"rule": "SomeFailed", "atMost": "50%"}, "Success"),
    "less-than-half-failed": (["good", "bad"], {"rule": "SomeFailed", "atMost": "49%"}, "TriggerFailed"),
    "own-yes": (["good", "bad"], {"function": "steps:yes"}, "Success"),
    "own-no": (["good"], {"function": "steps:no"}, "TriggerFailed"),
    "after-a-skip": (["good", "skipped"], {"rule": "AllFinished"}, "Skipped"),
}
"""Tasks that differ by their trigger: those upstream, the trigger, and the state that it must lead to."""

STUBBORN: dict[str, tuple[list[str], Trigger, str]] = {
    "runs-after-a-skip": (["skipped"], {"rule": "AllSuccessful"}, "Success"),
    "all-skipped": (["skipped"], {"rule": "NotAllSkipped"}, "Skipped"),
    "not-all-skipped": (["good", "skipped"], {"rule": "NotAllSkipped"}, "Success"),
}
"""The same, with skipOnUpstreamSkip: false."""


def task(name: str, function: str, *inputs: Object, **fields: Any) -> Object:
    """Return a task of a function of the steps."""
    return {"name": name, "function": f"steps:{function}", "inputs": list(inputs), **fields}


FLOW = make_flow(
    "tasks",
    task("values", "note", *({"name": name, "value": value} for name, value in (("a", 1), ("b", [1, {"c": None}])))),
    task("parameters", "note", *({"name": name, "parameter": name} for name in ("given", "fallback", "missing"))),
    task("secret", "digest", {"name": "secret", "valueFrom": {"secretKeyRef": {"name": "login", "key": "password"}}}),
    task("context", "look_around"),
    task("first", "go_first"),
    task("second", "go_second", after=["first"]),
    {
        "name": "program",
        "command": ["sh", "-c", 'echo at work; echo "{\\"got\\": $FLOWKILN_INPUT_GIVEN}"'],
        "inputs": [{"name": "given", "parameter": "given"}],
    },
    task("told", "note", {"name": "program", "task": "program"}),
    {"name": "broken-program", "command": ["sh", "-c", "echo no such table >&2; exit 3"]},
    task("numbers", "numbers"),
    task(
        "double",
        "double",
        {"name": "number", "task": "numbers", "map": True},
        {"name": "text", "parameter": "fallback"},
    ),
    task("doubled", "note", {"name": "numbers", "task": "double"}),
    task(
        "flaky",
        "flaky",
        retries={"max": 4, "delay": "300ms", "backoffFactor": 10, "maxDelay": "1s", "jitterPercent": 5},
    ),
    task("tagged", "good", tags=["heavy", "night"], stateHandlers=["steps:task_changed"]),
    task("good", "good"),
    task("bad", "bad"),
    task("skipped", "skipped"),
    *(task(name, "good", after=after, trigger=trigger) for name, (after, trigger, _) in TRIGGERS.items()),
    *(
        task(name, "good", after=after, trigger=trigger, skipOnUpstreamSkip=False)
        for name, (after, trigger, _) in STUBBORN.items()
    ),
    source={"steps.py": STEPS, "lib/arithmetic.py": "def twice(number):\n    return 2 * number\n"},
    parameters=[
        {"name": "given", "schema": {"type": "integer"}},
        {"name": "fallback", "default": "by default"},
        {"name": "missing", "optional": True},
        {"name": "unused", "default": {"nested": [True]}},
    ],
    context={"team": "climate", "over": "the flow's"},
    referenceTasks=["values", "doubled"],
    stateHandlers=["steps:flow_changed"],
    cluster={"workers": {"threads": 4}},
)


@dataclass(frozen=True)
class Observed:
    """What was seen of the run."""

    run: Object
    everything: str  # the FlowRun, its plan and the agent's log, as text
    by_worker: Mapping[str, list[Any]]
    by_agent: Mapping[str, list[Any]]
    worker_log: str


@pytest.fixture(scope="module")
def observed(shared_runs: Runs) -> Observed:
    """Run the flow once, for all tests of this module."""
    runs = shared_runs
    runs.kubectl("create", "secret", "generic", "login", f"--from-literal=password={SECRET}", "--from-literal=user=u")
    with runs.follow_logs() as logs:
        runs.apply(FLOW, make_run("one", "tasks", parameters={"given": 7}, context={"over": "the run's", "own": [1]}))
        run = runs.finish("one")
        logs.wait_for_the_end()
        plan = runs.get("configmap", run["status"]["plan"]["configMap"])
        return Observed(
            run=run,
            everything=json.dumps([run, plan]) + "\n".join(logs.lines("agent") + logs.lines("worker")),
            by_worker=seen(logs, "worker"),
            by_agent=seen(logs, "agent"),
            worker_log="\n".join(logs.lines("worker")),
        )


def seen(logs: Logs, container: str) -> Mapping[str, list[Any]]:
    """Return what the steps have printed in containers of a kind, by its name."""
    found: dict[str, list[Any]] = defaultdict(list)
    for line in logs.lines(container):
        if line.startswith("SEEN "):
            name, value = json.loads(line.removeprefix("SEEN "))
            found[name].append(value)
    return found


def test_reference_tasks_alone_decide_the_run(observed: Observed) -> None:
    """The run is a Success although tasks that are no reference tasks have failed."""
    assert task_status(observed.run, "bad")["state"] == "Failed"
    assert state(observed.run) == "Success"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("values", {"a": 1, "b": [1, {"c": None}]}),
        ("parameters", {"given": 7, "fallback": "by default", "missing": None}),
        ("secret", hashlib.sha256(SECRET.encode()).hexdigest()),
        ("told", {"program": {"got": 7}}),
        ("doubled", {"numbers": [2, 4, 6]}),
        ("first was done", True),
        ("upstream", ["Failed", "Success"]),
    ],
)
def test_function_is_called_with_what_the_spec_says(observed: Observed, name: str, value: Any) -> None:
    """Values, parameters with and without default, secrets, results of programs and of maps arrive; `after` waits."""
    assert observed.by_worker[name] == [value]


def test_context_is_the_flows_below_the_runs(observed: Observed) -> None:
    """A task finds the flow's context, the run's over it, all parameters that have a value, and itself."""
    assert observed.by_worker["context"] == [
        {
            "team": "climate",
            "over": "the run's",
            "own": [1],
            "parameters": {"given": 7, "fallback": "by default", "unused": {"nested": [True]}},
            "task_name": "context",
            "task_run_count": 1,
            "map_index": None,
        }
    ]


def test_map_runs_once_for_each_element(observed: Observed) -> None:
    """Each element goes to a child of its own, and an input that is not mapped to all of them."""
    assert sorted(observed.by_worker["double"]) == [[n, "by default", n - 1] for n in (1, 2, 3)]
    children = task_status(observed.run, "double")["children"]
    assert (children["total"], children["counts"]) == (3, {"Success": 3})


def test_secret_is_nowhere_but_in_the_task(observed: Observed) -> None:
    """Neither status, plan nor any log holds the secret's text, of which the task has printed the right digest."""
    assert SECRET not in observed.everything


def test_program_that_fails_says_why(observed: Observed) -> None:
    """Exit code and standard error are in the task's message, and what programs print is in the worker's log."""
    failed = task_status(observed.run, "broken-program")
    assert failed["state"] == "Failed"
    assert "exited with code 3" in failed["message"]
    assert "no such table" in failed["message"]
    assert "at work" in observed.worker_log


def test_retries_wait_longer_each_time_up_to_the_longest(observed: Observed) -> None:
    """Five attempts: after 300 ms, then 1 s each, since ten times as long is longer than maxDelay. Jitter is 5%.

    Without maxDelay the run would take minutes, and its test would not wait for that.
    """
    times = observed.by_worker["flaky"]
    waits = [later - earlier for earlier, later in pairwise(times)]
    print(f"waits between the attempts: {[round(wait, 2) for wait in waits]}")
    assert len(times) == 5
    assert all(wait >= least for wait, least in zip(waits, (0.285, 0.95, 0.95, 0.95), strict=True))
    assert task_status(observed.run, "flaky") | {"startTime": "", "completionTime": ""} == {
        "name": "flaky",
        "state": "Success",
        "runCount": 5,
        "startTime": "",
        "completionTime": "",
    }


@pytest.mark.parametrize("name", [*TRIGGERS, *STUBBORN])
def test_trigger_decides(observed: Observed, name: str) -> None:
    """Each rule, with its bounds, leads to the state that it should, and so do skips upstream."""
    _, _, expected = {**TRIGGERS, **STUBBORN}[name]
    assert task_status(observed.run, name)["state"] == expected


def test_state_handlers_are_called_on_each_change(observed: Observed) -> None:
    """Those of a task on the worker, with the task and its tags; those of the flow in the engine's process.

    Between its first and its last change the flow goes from Running to Running whenever it only waits for a retry.
    """
    tags = ["heavy", "night"]
    assert observed.by_worker["task changed"] == [
        ["tagged", tags, "Pending", "Running"],
        ["tagged", tags, "Running", "Success"],
    ]
    first, *waits, last = observed.by_agent["flow changed"]
    assert (first, last) == (["tasks", "Pending", "Running"], ["tasks", "Running", "Success"])
    assert all(wait == ["tasks", "Running", "Running"] for wait in waits)
