"""The smallest flow of examples/, from `kubectl apply` to `kubectl delete`, and what it costs the API server."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from itertools import pairwise
from typing import Any

from tests.cluster.harness.commands import wait_until
from tests.cluster.harness.interface import Cluster

from .flows import example
from .installation import OPERATOR, SYSTEM_NAMESPACE
from .runs import FLOW_RUN, Runs, condition, state, task_status

MAX_WRITES = 15
USUAL_CHANGES = 3  # of ClusterReady: the cluster is starting, is ready, was deleted
WRITES = ("create", "update", "patch", "delete", "deletecollection")
OURS = f"system:serviceaccount:{SYSTEM_NAMESPACE}:{OPERATOR}"


@dataclass(frozen=True, order=True)
class Write:
    """One kind of write of ours, as the audit log tells it."""

    writer: str  # operator or agent
    verb: str
    resource: str
    refused: bool  # as when the other one has written in between; nothing was written then

    def __str__(self) -> str:
        return f"{self.writer} {self.verb} {self.resource}{', refused' if self.refused else ''}"


def our_writes(cluster: Cluster, namespace: str) -> Iterator[Write]:
    """Yield what operator and agents have asked the API server to write in a namespace."""
    for event in cluster.audit_events():
        user: str = event["user"].get("username", "")
        where: dict[str, Any] = event.get("objectRef", {})
        agent = user.startswith(f"system:serviceaccount:{namespace}:flowrun-")
        if event["verb"] in WRITES and where.get("namespace") == namespace and (agent or user == OURS):
            resource = "/".join(filter(None, (where["resource"], where.get("subresource"))))
            refused = event["responseStatus"]["code"] >= HTTPStatus.BAD_REQUEST
            yield Write("agent" if agent else "operator", event["verb"], resource, refused)


def test_hello_runs_and_leaves_nothing(runs: Runs) -> None:
    """The example succeeds; when it is over all but its plan goes, and that with `kubectl delete`."""
    with runs.follow_logs() as logs:
        runs.apply(example("hello", "flow.yaml"), example("hello", "flowrun.yaml"))
        run = runs.finish("hello-kubernetes")
        logs.wait_for("worker", "Hello, Kubernetes!")
    assert state(run) == "Success"
    assert condition(run, "Succeeded")["status"] == "True"

    def kinds_left() -> set[str]:
        return {thing.partition("/")[0] for thing in runs.owned_objects(run)}

    wait_until("only the run's plan is left", lambda: kinds_left() == {"ConfigMap"}, seconds=60)
    runs.delete("hello-kubernetes")
    wait_until("nothing of the run is left", lambda: runs.owned_objects(run) == [], seconds=60)
    assert not runs.exists(FLOW_RUN, "hello-kubernetes")


def test_hello_costs_few_writes(own_cluster: Cluster, runs: Runs) -> None:
    """Operator and agent together write to the API server at most so often, from the run's start to its settled end.

    On a slow machine more is told, which comes on top: by the agent once a second while the task takes its time, and by
    the operator what keeps the cluster from being ready, and that it no longer does.
    """
    with runs.record() as recorded:
        runs.apply(example("hello", "flow.yaml"), example("hello", "flowrun.yaml"))
        runs.finish("hello-kubernetes")
        run = runs.wait_until(
            "hello-kubernetes", "is settled", lambda run: condition(run, "ClusterReady").get("reason") == "Deleted"
        )
        wait_until(
            "all versions are here",
            lambda: (recorded.latest("hello-kubernetes") or {}).get("status") == run["status"],
            seconds=60,
        )
    counted = Counter(our_writes(own_cluster, runs.namespace))
    writes = {write: count for write, count in counted.items() if not write.refused}
    print(f"writes of one run of hello: {sum(writes.values())}, and {counted.total() - sum(writes.values())} refused")
    for write, count in sorted(counted.items()):
        print(f"  {count}x {write}")
    begin, end = (
        datetime.fromisoformat(time)
        for time in (task_status(run, "greet")["startTime"], run["status"]["completionTime"])
    )
    reports = 1 + int((end - begin).total_seconds())  # the times are whole seconds
    told = [condition(version.object, "ClusterReady").get("message") for version in recorded.of("hello-kubernetes")]
    changes = sum(before != after for before, after in pairwise(told))
    assert {write.writer for write in writes} == {"agent", "operator"}
    assert sum(writes.values()) <= MAX_WRITES + reports + changes - USUAL_CHANGES
