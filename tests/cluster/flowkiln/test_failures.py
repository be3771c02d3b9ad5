"""Runs that fail for what they are: each says why, in words, in its own status, after everything else of it is gone."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.cluster.harness.commands import wait_until

from .flows import Object, make_flow, make_run, make_spec
from .installation import Installation
from .rooms import room
from .runs import FLOW_RUN, Runs, condition, label_of, state, task_status

SOURCE = {
    "steps.py": """
        import time

        def rows(year=2010):
            return [year]

        def load(rows):
            raise ValueError("no rows in the file of " + str(rows[0]))

        def sleep(seconds=600):
            time.sleep(seconds)

        def refuse(bad):
            if bad:
                raise RuntimeError("bad element " + str(bad))
    """
}
YEAR = [{"name": "year", "schema": {"type": "integer", "minimum": 1900}, "default": 2010}]
ROWS: Object = {"name": "rows", "function": "steps:rows", "inputs": [{"name": "year", "parameter": "year"}]}
LOAD: Object = {"name": "load", "function": "steps:load", "inputs": [{"name": "rows", "task": "rows"}]}
NOTIFY: Object = {"name": "notify", "function": "steps:rows", "after": ["load"]}


def spec(*tasks: Object, **fields: object) -> Object:
    """Return the spec of a flow with the parameter `year`."""
    return make_spec(*tasks, source=SOURCE, parameters=YEAR, **fields)


CYCLE = spec(
    {"name": "a", "function": "steps:rows", "after": ["b"]}, {"name": "b", "command": ["true"], "after": ["a"]}
)
UNKNOWN_TASK = spec({"name": "a", "function": "steps:load", "inputs": [{"name": "rows", "task": "nowhere"}]})
UNKNOWN_PARAMETER = spec({"name": "a", "function": "steps:rows", "inputs": [{"name": "year", "parameter": "month"}]})

INVALID: dict[str, tuple[Object, list[str]]] = {
    "wrong-type": (make_run("wrong-type", "years", parameters={"year": "x"}), ["spec.parameters.year", "integer"]),
    "too-small": (make_run("too-small", "years", parameters={"year": 1066}), ["spec.parameters.year", "1900"]),
    "unknown": (make_run("unknown", "years", parameters={"month": 5}), ["spec.parameters.month", "no parameter"]),
    "cycle": (make_run("cycle", CYCLE), ["wait for each other", "a → b → a"]),
    "unknown-task": (make_run("unknown-task", UNKNOWN_TASK), ["inputs", "nowhere"]),
    "unknown-parameter": (make_run("unknown-parameter", UNKNOWN_PARAMETER), ["inputs", "month"]),
    "wrong-flow": (make_run("wrong-flow", "wrong"), ["Flow wrong", "a → b → a"]),
}
"""For each run: its manifest, and words that its one sentence has to contain."""

NEVER_LOADS: dict[str, tuple[Object, list[str]]] = {
    "no-module": (make_run("no-module", spec({"name": "a", "function": "nowhere:load"})), ["a", "nowhere"]),
    "no-function": (make_run("no-function", spec({"name": "a", "function": "steps:absent"})), ["a", "steps", "absent"]),
}
"""Runs whose code is not there, and words that the message has to contain."""


@pytest.fixture(scope="module")
def failing(flowkiln: Installation) -> Iterator[Runs]:
    """Start all runs of this module at once."""
    mapped = spec(
        {"name": "bad", "function": "steps:rows"},
        {"name": "each", "function": "steps:refuse", "inputs": [{"name": "bad", "task": "bad", "map": True}]},
    )
    with room(
        flowkiln,
        make_flow("years", ROWS, source=SOURCE, parameters=YEAR),
        {"apiVersion": "flowkiln.dev/v1alpha1", "kind": "Flow", "metadata": {"name": "wrong"}, "spec": CYCLE},
        make_run("raises", spec(ROWS, LOAD, NOTIFY)),
        make_run("raises-in-a-child", mapped),
        *(run for run, _ in NEVER_LOADS.values()),
        *(run for run, _ in INVALID.values()),
    ) as runs:
        yield runs


def conditions(run: Object) -> dict[str, str]:
    """Return the status of each condition."""
    return {one["type"]: one["status"] for one in run["status"]["conditions"]}


FAILED = {"Succeeded": "False", "Finished": "True", "Reconciling": "False", "Stalled": "True", "ClusterReady": "False"}


def pods_are_gone(runs: Runs, name: str) -> Object:
    """Wait until a finished run has no pods any more, and return it as it is then."""

    def no_pods(run: Object) -> bool:
        return not runs.list("pods", selector=f"flowkiln.dev/run={label_of(run)}")

    return runs.wait_until(name, "its pods are gone", no_pods)


@pytest.mark.parametrize("name", INVALID)
def test_an_invalid_run_fails_at_once_in_its_own_words(failing: Runs, name: str) -> None:
    """Failed, InvalidSpec, one sentence that names what is wrong, and nothing created."""
    run = failing.finish(name)
    assert state(run) == "Failed"
    assert conditions(run) == FAILED
    succeeded = condition(run, "Succeeded")
    assert succeeded["reason"] == "InvalidSpec"
    for words in INVALID[name][1]:
        assert words in succeeded["message"]
    assert "\n" not in succeeded["message"]
    assert "plan" not in run["status"]
    assert failing.owned_objects(run) == []


def test_invalid_runs_fail_each_with_a_sentence_of_its_own(failing: Runs) -> None:
    """No two mistakes read the same."""
    sentences = {condition(failing.finish(name), "Succeeded")["message"] for name in INVALID}
    assert len(sentences) == len(INVALID)


def test_the_error_of_a_task_can_be_read_when_all_pods_are_gone(failing: Runs) -> None:
    """Failed and Stalled; message and traceback are in the status, and what comes after the task did not run."""
    failing.finish("raises")
    run = pods_are_gone(failing, "raises")
    assert state(run) == "Failed"
    assert conditions(run) == FAILED
    assert condition(run, "Succeeded")["reason"] == "TaskFailed"
    assert "load: " in condition(run, "Succeeded")["message"]
    assert "no rows in the file of 2010" in condition(run, "Succeeded")["message"]
    assert task_status(run, "rows")["state"] == "Success"
    load = task_status(run, "load")
    assert load["state"] == "Failed"
    assert "ValueError" in load["message"]
    assert "no rows in the file of 2010" in load["message"]
    assert 'raise ValueError("no rows in the file of " + str(rows[0]))' in load["traceback"]
    assert "steps.py" in load["traceback"]
    assert load["runCount"] == 1
    assert task_status(run, "notify")["state"] == "TriggerFailed"
    assert task_status(run, "notify").get("runCount", 0) == 0


def test_the_error_of_a_mapped_child_can_be_read_too(failing: Runs) -> None:
    """The task's entry says which child failed, and why."""
    failing.finish("raises-in-a-child")
    run = pods_are_gone(failing, "raises-in-a-child")
    each = task_status(run, "each")
    assert state(run) == "Failed"
    assert "each[0]: " in condition(run, "Succeeded")["message"]
    assert each["children"]["counts"] == {"Failed": 1}
    assert each["children"]["indexes"] == [{"state": "Failed", "indexes": "0"}]
    assert "bad element 2010" in each["message"]
    assert "raise RuntimeError" in each["traceback"]


@pytest.mark.parametrize("name", NEVER_LOADS)
def test_code_that_is_not_there_fails_the_run(failing: Runs, name: str) -> None:
    """Failed, FlowLoadFailed, and the message names the task, the module and what is missing in it."""
    run = failing.finish(name)
    assert state(run) == "Failed"
    assert condition(run, "Succeeded")["reason"] == "FlowLoadFailed"
    for words in NEVER_LOADS[name][1]:
        assert words in condition(run, "Succeeded")["message"]
    assert run["status"]["flow"]["state"] == "Failed"


def test_an_event_tells_of_each_failure(failing: Runs) -> None:
    """`kubectl describe` and whoever watches Events learn the reason of each end, once."""
    ended = {name: failing.finish(name) for name in ("raises", "no-module", "cycle")}

    def told(run: Object) -> list[Object]:
        return [event for event in failing.list("events") if event["involvedObject"]["uid"] == run["metadata"]["uid"]]

    # An Event comes after the status that tells of the end.
    wait_until("there is an Event of each", lambda: all(told(run) for run in ended.values()), seconds=60)
    for name, run in ended.items():
        about = told(run)
        assert [event["reason"] for event in about] == [condition(run, "Succeeded")["reason"]], name
        assert about[0]["type"] == "Warning"


def test_a_name_that_is_taken_is_told(runs: Runs) -> None:
    """Crashed, NameConflict: somebody else's object is neither used nor changed."""
    runs.apply(make_run("conflict", "years"))
    label = label_of(runs.flow_run("conflict"))
    theirs = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": f"{label}-plan"}, "data": {"a": "b"}}
    runs.apply(theirs, make_flow("years", ROWS, source=SOURCE, parameters=YEAR))
    run = runs.finish("conflict")
    assert state(run) == "Crashed"
    assert condition(run, "Succeeded")["reason"] == "NameConflict"
    assert f"{label}-plan" in condition(run, "Succeeded")["message"]
    assert runs.get("configmap", f"{label}-plan")["data"] == {"a": "b"}
    assert not runs.list("daskclusters.kubernetes.dask.org")
    runs.kubectl("delete", FLOW_RUN, "conflict")
    assert runs.get("configmap", f"{label}-plan")["data"] == {"a": "b"}
