"""Runs do not meet: each has its own values, and none of their code ever runs in the operator."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from . import holding
from .flows import Object, make_flow, make_run
from .installation import OPERATOR, SYSTEM_NAMESPACE, Installation
from .runs import FLOW_RUN, Runs, condition, is_at_work, state

MARKER = "this module was imported"
MARKER_FILE = "/tmp/flowkiln-imported"
SOURCE = {
    "marked.py": f"""
        import os
        import sys

        os.write(1, b"{MARKER} in process %d\\n" % os.getpid())
        open("{MARKER_FILE}", "w").close()
        if "kopf" in sys.modules:
            os._exit(86)


        def numbers(first):
            return [first, first + 1, first + 2]


        def square(number):
            return number * number


        def total(squares, first):
            os.write(1, b"TOTAL of %d: %d\\n" % (first, sum(squares)))


        def handler(flow, old, new):
            return new
    """,
    **holding.SOURCE,
}
FLOW = make_flow(
    "squares",
    {"name": "hold", "function": "holding:hold"},
    {
        "name": "numbers",
        "function": "marked:numbers",
        "inputs": [{"name": "first", "parameter": "first"}],
        "after": ["hold"],
    },
    {
        "name": "square",
        "function": "marked:square",
        "inputs": [{"name": "number", "task": "numbers", "map": True}],
    },
    {
        "name": "total",
        "function": "marked:total",
        "inputs": [{"name": "squares", "task": "square"}, {"name": "first", "parameter": "first"}],
    },
    source=SOURCE,
    parameters=[{"name": "first", "schema": {"type": "integer"}}],
    stateHandlers=["marked:handler"],
)
TOTALS = {1: 1 + 4 + 9, 100: 10_000 + 10_201 + 10_404}


@dataclass(frozen=True)
class Observed:
    """What was seen of two runs of one flow that were applied before their Flow, and ran at the same time."""

    runs: dict[int, Object]
    waiting: dict[int, Object]
    states_in_the_middle: list[str]
    belongings_while_waiting: list[str]
    lines: dict[int, list[str]]  # of all containers
    containers_with_marker: set[str]
    operator_before: Any
    operator_after: Any
    operator_log: str


@pytest.fixture(scope="module")
def observed(shared_runs: Runs) -> Iterator[Observed]:
    """Apply two FlowRuns, then their Flow, and wait for both."""
    runs = shared_runs
    names = {first: f"from-{first}" for first in TOTALS}
    before = operator_process(runs.installation)
    with runs.follow_logs() as logs:
        runs.apply(*(make_run(name, "squares", parameters={"first": first}) for first, name in names.items()))
        waiting = {
            first: runs.wait_until(name, "waits", lambda run: bool(condition(run, "Finished")))
            for first, name in names.items()
        }
        owned_objects = [thing for run in waiting.values() for thing in runs.owned_objects(run)]
        runs.apply(FLOW)
        for name in names.values():
            runs.wait_until(name, "is at work", lambda run: is_at_work(run, "hold"))
        in_the_middle = runs.list(FLOW_RUN)
        for name in names.values():
            holding.release(runs, name)
        finished = {first: runs.finish(name) for first, name in names.items()}
        logs.wait_for_the_end()
        yield Observed(
            runs=finished,
            waiting=waiting,
            states_in_the_middle=[state(run) for run in in_the_middle],
            belongings_while_waiting=owned_objects,
            lines={first: logs.lines("worker", pod=f"{name}-") for first, name in names.items()},
            containers_with_marker={
                container
                for container in ("agent", "scheduler", "worker")
                if any(MARKER in line for line in logs.lines(container))
            },
            operator_before=before,
            operator_after=operator_process(runs.installation),
            operator_log=runs.installation.operator_log(),
        )


def operator_process(installation: Installation) -> Any:
    """Return which process the operator is: its pod, and how often its container was started."""
    pod = installation.pod_of(OPERATOR)
    status = json.loads(
        installation.cluster.kubectl("get", "pod", pod, f"--namespace={SYSTEM_NAMESPACE}", "--output=json")
    )["status"]
    return pod, [container["restartCount"] for container in status["containerStatuses"]]


def in_operator(installation: Installation, *command: str) -> str:
    """Run a command beside the operator, in its container."""
    where = (f"--namespace={SYSTEM_NAMESPACE}", installation.pod_of(OPERATOR))
    return installation.cluster.kubectl("exec", *where, "--", *command)


def test_run_may_come_before_its_flow(observed: Observed) -> None:
    """It waits as Pending, FlowNotFound, with nothing created, and runs when the Flow is there."""
    for run in observed.waiting.values():
        assert state(run) == "Pending"
        assert condition(run, "Finished")["status"] == "False"
        assert condition(run, "Finished")["reason"] == "FlowNotFound"
        assert "squares" in condition(run, "Finished")["message"]
    assert observed.belongings_while_waiting == []
    assert {state(run) for run in observed.runs.values()} == {"Success"}


@pytest.mark.parametrize("first", TOTALS)
def test_two_runs_at_once_have_their_own_values(observed: Observed, first: int) -> None:
    """Two runs of one flow, whose tasks have the same names, were Running together; each computed its own total."""
    assert observed.states_in_the_middle == ["Running", "Running"]
    totals = [line for line in observed.lines[first] if line.startswith("TOTAL")]
    assert totals == [f"TOTAL of {first}: {TOTALS[first]}"]


def test_users_code_never_runs_in_the_operator(observed: Observed, flowkiln: Installation) -> None:
    """A module that leaves a mark wherever it is imported, and ends a process that has kopf, was in agent and workers.

    In the operator it would have done so: the same code, in a process of its own beside it, finds kopf and ends.
    """
    assert observed.containers_with_marker == {"agent", "worker"}
    assert MARKER not in observed.operator_log
    assert observed.operator_before == observed.operator_after
    assert Path(MARKER_FILE).name not in in_operator(flowkiln, "ls", "-A", "/tmp").split()
    code = FLOW["spec"]["source"]["files"][0]["content"].replace(MARKER_FILE, "/dev/null")
    ended = f"import subprocess, sys; print(subprocess.call([sys.executable, '-c', 'import kopf\\n' + {code!r}]))"
    assert in_operator(flowkiln, "python", "-c", ended).splitlines()[-1] == "86"
