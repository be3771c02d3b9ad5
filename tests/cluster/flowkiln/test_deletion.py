"""`kubectl delete flowrun` in the midst of the work, with everybody there and with either controller down."""

from __future__ import annotations

import time
from contextlib import AbstractContextManager, nullcontext
from functools import partial

from tests.cluster.harness.commands import wait_until

from .controllers import without
from .flows import Object, make_run, make_spec
from .installation import DASK_KUBERNETES, OPERATOR, Installation
from .rooms import room
from .runs import FLOW_RUN, Runs, state
from .watching import Logs

SOURCE = {
    "steps.py": """
        import time

        def once():
            return 1

        def tick(name):
            for number in range(10_000):
                print(f"{name} ticks {number}", flush=True)
                time.sleep(0.2)
    """
}
NAMES = ("everybody-there", "operator-down", "dask-kubernetes-down")
AGAIN = "again"
END_OF_WORK = 60  # seconds; without its agent the work would go on while dask-kubernetes is down
SILENCE = 2  # seconds without a word of a task that speaks five times a second


def ticking(name: str) -> Object:
    """Return a run whose task says every moment that it is at work, under an account that outlives it."""
    task = {"name": "tick", "function": "steps:tick", "inputs": [{"name": "name", "value": name}]}
    return make_run(name, make_spec(task, source=SOURCE))


def ticks(logs: Logs, name: str) -> list[str]:
    """Return what the run's task has said."""
    return [line for line in logs.lines("worker", pod=name) if f"{name} ticks" in line]


def is_ticking(logs: Logs, name: str) -> bool:
    """Tell whether the run's task is at work."""
    return len(ticks(logs, name)) > 3


def is_gone(runs: Runs, run: Object) -> bool:
    """Tell whether no object of any kind carries the run's label or is owned by it."""
    return runs.owned_objects(run) == []


def check_work_ends(runs: Runs, logs: Logs, name: str) -> None:
    """Watch the task fall silent, also in containers that were started again, which nobody has followed yet."""
    heard: list[tuple[float, int]] = [(time.monotonic(), len(ticks(logs, name)))]

    def is_silent() -> bool:
        if (said := len(ticks(logs, name))) != heard[-1][1]:
            heard.append((time.monotonic(), said))
        return time.monotonic() - heard[-1][0] > SILENCE and not has_just_ticked(runs, name)

    wait_until(f"{name} falls silent", is_silent, seconds=END_OF_WORK)


def has_just_ticked(runs: Runs, name: str) -> bool:
    """Ask the run's worker pods themselves whether its task is at work."""
    for pod in runs.list("pods"):
        if pod["metadata"]["name"].startswith(name) and "-worker-" in pod["metadata"]["name"]:
            # A pod may go between the look and the question: then it says nothing, which is what is waited for.
            question = ("logs", pod["metadata"]["name"], "--since=1s", "--ignore-errors")
            recent = runs.installation.cluster.kubectl(*question, f"--namespace={runs.namespace}", check=False)
            if f"{name} ticks" in recent:
                return True
    return False


def test_a_deleted_run_ends_its_work_and_leaves_nothing(flowkiln: Installation) -> None:
    """The work ends and no object of any kind stays, also while a controller is down.

    What only dask-kubernetes can let go, because of its finalizer, goes when that is back. A run that gets the name of
    one that was just deleted begins anew.
    """
    missing: dict[str, AbstractContextManager[None]] = {
        "everybody-there": nullcontext(),
        "operator-down": without(flowkiln, OPERATOR),
        "dask-kubernetes-down": without(flowkiln, DASK_KUBERNETES),
    }
    with room(flowkiln, *(ticking(name) for name in (AGAIN, *NAMES))) as runs, runs.follow_logs() as logs:
        for name in (AGAIN, *NAMES):
            wait_until(f"{name} works", partial(is_ticking, logs, name), seconds=120)
        runs.delete(AGAIN)
        runs.apply(make_run(AGAIN, make_spec({"name": "once", "function": "steps:once"}, source=SOURCE)))
        for name, absence in missing.items():
            run = runs.flow_run(name)
            assert run["metadata"].get("finalizers", []) == []
            assert ticks(logs, name)
            with absence:
                runs.delete(name)
                assert not runs.exists(FLOW_RUN, name)
                check_work_ends(runs, logs, name)
                if name != "dask-kubernetes-down":
                    wait_until(f"nothing of {name} is left", partial(is_gone, runs, run), seconds=120)
            wait_until(f"nothing of {name} is left", partial(is_gone, runs, run), seconds=120)
        run = runs.finish(AGAIN)
        assert state(run) == "Success"
        assert run["status"]["flow"]["attempt"] == 1
        assert [task["name"] for task in run["status"]["tasks"]] == ["once"]
