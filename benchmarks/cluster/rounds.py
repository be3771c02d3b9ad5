"""One round of either side, timed by what watches bring to this process, and proven by what they bring."""

from __future__ import annotations

import json
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from tests.cluster.flowkiln.flows import make_run
from tests.cluster.flowkiln.runs import condition, state
from tests.cluster.flowkiln.watching import FLOW_RUNS, PODS, Recording, recording
from tests.cluster.harness.commands import kubectl_path, wait_until

from benchmarks.cluster.bare import CONTAINER, KIND, make_bare
from benchmarks.cluster.flows import placed
from benchmarks.cluster.testbed import Testbed

EVENTS = "/api/v1/namespaces/{namespace}/events"
RUN = "run"
PATIENCE = 300.0
GREETING = "Hello, Kubernetes!"


class RoundNotProven(AssertionError):
    """A round did not do what it was timed for."""


@dataclass(frozen=True)
class Round:
    """One run of one side; times in seconds since the epoch, as this process saw them."""

    namespace: str
    began: float  # just before the object was sent
    ended: float  # when the word came that all is done
    settled: float  # when its cluster was gone
    started: dict[str, float]  # when the word came that a container had started, by its name
    said: dict[str, Any] = field(default_factory=dict)  # what the bare client printed, or the FlowRun at its end

    @property
    def seconds(self) -> float:
        """From the apply to the end."""
        return self.ended - self.began


@contextmanager
def _watching(testbed: Testbed, namespace: str) -> Iterator[tuple[Recording, Recording]]:
    with (
        recording(testbed.cluster, PODS.format(namespace=namespace)) as pods,
        recording(testbed.cluster, EVENTS.format(namespace=namespace)) as events,
    ):
        yield pods, events


def run_flow(
    testbed: Testbed,
    flow: dict[str, Any],
    *,
    children: int = 0,
    meanwhile: Callable[[str, Recording], None] | None = None,
) -> Round:
    """Apply a FlowRun of a flow, in which so many mapped children are to succeed, and wait until its cluster is gone.

    `meanwhile` is called with the namespace and the FlowRun's versions once it is applied.
    """
    namespace = testbed.namespace()
    testbed.api.apply(placed(flow, namespace))
    run = make_run(RUN, flow["metadata"]["name"], **_parameters(flow))
    with (
        recording(testbed.cluster, FLOW_RUNS.format(namespace=namespace)) as runs,
        _watching(testbed, namespace) as (pods, events),
    ):
        began = time.time()
        testbed.api.apply(placed(run, namespace))
        if meanwhile is not None:
            meanwhile(namespace, runs)
        finished = first_version(runs, "the run is finished", lambda run: _is(run, "Finished", "True"))
        wait_until(
            "the run is settled",
            lambda: condition(runs.latest(RUN) or {}, "ClusterReady").get("reason") == "Deleted" and _gone(pods),
            seconds=PATIENCE,
        )
        started = _started(events)
    last: dict[str, Any] = runs.latest(RUN) or {}
    _prove_flow(flow, last, children)
    return Round(namespace, began, finished, time.time(), started, last)


def run_bare(
    testbed: Testbed, *arguments: str, expected: object, meanwhile: Callable[[str, str, list[Line]], None] | None = None
) -> Round:
    """Apply a bare DaskCluster, wait until its second container has printed, delete it and wait until it is gone.

    `meanwhile` is called with the namespace, the pod and the lines that are being printed.
    """
    namespace = testbed.namespace()
    bare = make_bare(namespace, testbed.image, *arguments)
    for manifest in bare.before:
        testbed.api.apply(manifest)
    with _watching(testbed, namespace) as (pods, events):
        began = time.time()
        testbed.api.apply(bare.dask_cluster)
        wait_until("the bare client runs", lambda: bool(_running(pods)), seconds=PATIENCE, every=0.02)
        with _following(testbed, namespace, _running(pods)) as lines:
            if meanwhile is not None:
                meanwhile(namespace, _running(pods), lines)
            wait_until("the bare client has its result", lambda: bool(_result(lines)), seconds=PATIENCE)
        started = _started(events)
        testbed.cluster.kubectl("delete", KIND, bare.name, f"--namespace={namespace}", "--wait=true")
        wait_until("the bare cluster's pods are gone", lambda: _gone(pods), seconds=PATIENCE)
    (line,) = _result(lines)
    said = json.loads(line.text)
    if said["result"] != expected:
        raise RoundNotProven(f"the bare client had {said['result']!r} where {expected!r} was to be")
    return Round(namespace, began, line.at, time.time(), started, said)


@dataclass(frozen=True)
class Line:
    """A line that a container printed, and when it came."""

    at: float
    text: str


def first_version(runs: Recording, what: str, holds: Callable[[dict[str, Any]], bool]) -> float:
    """Wait for the first version of the run of which something holds; when it came."""

    def found() -> list[float]:
        return [version.at.timestamp() for version in runs.of(RUN) if holds(version.object)]

    wait_until(what, lambda: bool(found()), seconds=PATIENCE)
    return found()[0]


@contextmanager
def _following(testbed: Testbed, namespace: str, pod: str) -> Iterator[list[Line]]:
    lines: list[Line] = []
    command = [kubectl_path(), f"--kubeconfig={testbed.cluster.kubeconfig}", "logs", "--follow", pod]
    process = subprocess.Popen(
        [*command, f"--container={CONTAINER}", f"--namespace={namespace}"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )

    def receive() -> None:
        with process:
            assert process.stdout is not None
            for line in process.stdout:
                lines.append(Line(time.time(), line))

    thread = threading.Thread(target=receive, daemon=True)
    thread.start()
    try:
        yield lines
    finally:
        process.terminate()
        thread.join(timeout=10)


def _parameters(flow: dict[str, Any]) -> dict[str, Any]:
    return {"parameters": {"name": "Kubernetes"}} if flow["metadata"]["name"] == "hello" else {}


def _is(run: dict[str, Any], type: str, status: str) -> bool:
    return bool(condition(run, type).get("status") == status)


def _prove_flow(flow: dict[str, Any], run: dict[str, Any], children: int) -> None:
    """Every task of the flow succeeded, and so many children of mapped ones."""
    status = run.get("status", {})
    succeeded = 0
    told = {task["name"]: task for task in status.get("tasks", ())}
    for task in flow["spec"]["tasks"]:
        entry = told.get(task["name"], {})
        if "children" in entry:
            succeeded += entry["children"]["counts"].get("Success", 0)
        elif entry.get("state") != "Success":
            raise RoundNotProven(f"{flow['metadata']['name']}: {task['name']} is {entry}")
    if state(run) != "Success" or succeeded != children:
        message = status.get("flow", {}).get("message")
        raise RoundNotProven(
            f"{flow['metadata']['name']} is {state(run)} ({message}) and {succeeded} of {children} children succeeded"
        )


def _started(events: Recording) -> dict[str, float]:
    started: dict[str, float] = {}
    for version in list(events.versions):
        field_path = version.object["involvedObject"].get("fieldPath", "")
        if version.object.get("reason") == "Started" and field_path.startswith("spec.containers{"):
            started.setdefault(field_path.removeprefix("spec.containers{").rstrip("}"), version.at.timestamp())
    return started


def _running(pods: Recording) -> str:
    """Return the name of the pod whose client runs; empty while there is none."""
    for version in list(pods.versions):
        for status in version.status.get("containerStatuses", ()):
            if status["name"] == CONTAINER and "running" in status["state"]:
                return version.name
    return ""


def _result(lines: list[Line]) -> list[Line]:
    return [line for line in list(lines) if '"result"' in line.text]


def _gone(pods: Recording) -> bool:
    names = {version.name for version in list(pods.versions)}
    return bool(names) and all(pods.latest(name) is None for name in names)
