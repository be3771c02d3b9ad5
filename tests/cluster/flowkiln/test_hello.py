"""The smallest flow, from `kubectl apply` to `kubectl delete`."""

from __future__ import annotations

from .flows import HELLO, make_run
from .runs import Runs, condition, state


def test_hello_succeeds(runs: Runs) -> None:
    """A flow of one task runs to its end and says so in every way."""
    with runs.record() as recorded, runs.follow_logs() as logs:
        runs.apply(HELLO, make_run("one", "hello", parameters={"name": "Kubernetes"}))
        run = runs.finish("one")
        assert state(run) == "Success", runs.story("one")
        assert condition(run, "Succeeded")["status"] == "True"
        logs.wait_for("worker", "Hello, Kubernetes!")
        for v in recorded.of("one"):
            print(
                v.at,
                v.type,
                v.status.get("state"),
                v.status.get("flow", {}).get("counts"),
                v.object["metadata"]["resourceVersion"],
            )
    print(runs.belongings(run))
