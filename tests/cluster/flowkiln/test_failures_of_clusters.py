"""Clusters that break while they work: the run ends, says what was lost, and leaves nothing behind."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from .flows import Object, make_run, make_spec
from .installation import Installation
from .rooms import room
from .runs import Runs, condition, state, task_status

SOURCE = {"steps.py": "import time\n\ndef rows():\n    return []\n\ndef sleep():\n    time.sleep(600)\n"}
SLEEPING = make_spec(
    {"name": "rows", "function": "steps:rows"},
    {"name": "sleep", "function": "steps:sleep"},
    {"name": "last", "function": "steps:rows", "after": ["rows", "sleep"]},
    source=SOURCE,
    cluster={"workers": {"threads": 2}},
)
SIGNAL_ENGINE = """
import os, pathlib
for process in pathlib.Path("/proc").glob("[0-9]*"):
    if (process / "cmdline").read_bytes().endswith(b"flowkiln_operator.agent.engine_process\\0"):
        os.kill(int(process.name), {number})
"""


def delete_scheduler_pod(runs: Runs, run: Object) -> None:
    """Take the pod away, as the loss of its node would."""
    (pod,) = runs.pods(run, "scheduler")
    runs.kubectl("delete", "pod", pod["metadata"]["name"], "--wait=false")


def delete_dask_cluster(runs: Runs, run: Object) -> None:
    """Take the whole cluster away, as somebody who cleans up might."""
    runs.kubectl("delete", "daskclusters", run["status"]["cluster"]["name"], "--wait=false")


def kill_engine(runs: Runs, run: Object) -> None:
    """Kill the engine's process, as the kernel does when memory is short."""
    in_agent(runs, run, SIGNAL_ENGINE.format(number=9))


def stop_engine(runs: Runs, run: Object) -> None:
    """Halt the engine's process: it is there, and does nothing any more."""
    in_agent(runs, run, SIGNAL_ENGINE.format(number=19))


def end_agent_container(runs: Runs, run: Object) -> None:
    """End the first process of the agent's container, and so the container."""
    in_agent(runs, run, "import os; os.kill(1, 15)")


def is_half_done(run: Object) -> bool:
    """Tell whether the short task is shown as done and the long one as running."""
    return [task_status(run, name).get("state") for name in ("rows", "sleep")] == ["Success", "Running"]


def in_agent(runs: Runs, run: Object, code: str) -> None:
    """Run Python code in the container of the agent."""
    (pod,) = runs.pods(run, "scheduler")
    runs.kubectl("exec", pod["metadata"]["name"], "--container=agent", "--", "python", "-c", code)


BLOWS: dict[str, tuple[Callable[[Runs, Object], None], dict[str, str]]] = {
    # First, since it takes probes to notice. Who comes first says it: the agent in its new container, or the operator.
    "engine-stopped": (stop_engine, {"ClusterLost": "engine process ended", "AgentUnavailable": "container agent"}),
    "scheduler-deleted": (delete_scheduler_pod, {"ClusterLost": "scheduler pod"}),
    "cluster-deleted": (delete_dask_cluster, {"ClusterLost": "was deleted"}),
    "engine-killed": (kill_engine, {"ClusterLost": "engine process ended with signal SIGKILL"}),
    "agent-ended": (end_agent_container, {"ClusterLost": "engine process ended"}),
}
"""What happens to each run, and the reasons that its end may have, with words that the message has to contain."""


@pytest.fixture(scope="module")
def broken(flowkiln: Installation) -> Iterator[Runs]:
    """Start all runs at once, and strike each as soon as it is half done."""
    with room(flowkiln, *(make_run(name, SLEEPING) for name in BLOWS)) as runs:
        for name, (strike, _) in BLOWS.items():
            strike(runs, runs.wait_until(name, "is half done", is_half_done))
        yield runs


@pytest.mark.parametrize("name", BLOWS)
def test_a_run_that_loses_its_cluster_or_engine_crashes(broken: Runs, name: str) -> None:
    """Crashed, in words that name what was lost; what was done stays shown as done, and the rest as Crashed."""
    run = broken.finish(name)
    assert state(run) == "Crashed"
    _, ends = BLOWS[name]
    succeeded = condition(run, "Succeeded")
    assert succeeded["reason"] in ends
    assert ends[succeeded["reason"]] in succeeded["message"]
    assert condition(run, "Stalled")["status"] == "True"
    assert run["status"]["flow"]["state"] == "Crashed"
    assert {task["name"]: task["state"] for task in run["status"]["tasks"]} == {
        "rows": "Success",
        "sleep": "Crashed",
        "last": "Crashed",
    }
    assert run["status"]["flow"]["counts"] == {"Success": 1, "Crashed": 2}


@pytest.mark.parametrize("name", BLOWS)
def test_nothing_of_a_broken_cluster_goes_on(broken: Runs, name: str) -> None:
    """Its DaskCluster and all pods go; the replacement that dask-kubernetes makes of a lost pod is not used."""
    broken.finish(name)

    def is_quiet(run: Object) -> bool:
        return not [thing for thing in broken.owned_objects(run) if thing.startswith(("DaskCluster/", "Pod/"))]

    run = broken.wait_until(name, "nothing of it runs any more", is_quiet)
    assert run["status"]["flow"].get("attempt") == 1
    assert state(run) == "Crashed"
