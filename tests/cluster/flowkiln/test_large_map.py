"""A hundred thousand mapped children in one FlowRun: it ends, stays small, and is written rarely."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime

import pytest

from tests.cluster.harness.interface import Cluster

from .flows import make_flow, make_run
from .runs import FLOW_RUN, Object, Runs, state, task_status
from .watching import Version

CHILDREN = 100_000
FAILED = 7
MAX_BYTES = 512 * 1024
AT_THEIR_OWN_TIME = 3  # the claim, the first report and the last one do not wait
SOURCE = """
    def numbers(count):
        return list(range(count))

    def child(number, planted):
        if number == planted:
            raise ValueError("planted")
        return number + 1
"""
FLOW = make_flow(
    "large",
    {"name": "numbers", "function": "large:numbers", "inputs": [{"name": "count", "value": CHILDREN}]},
    {
        "name": "child",
        "function": "large:child",
        "inputs": [{"name": "number", "task": "numbers", "map": True}, {"name": "planted", "value": FAILED}],
    },
    source={"large.py": SOURCE},
)


@dataclass(frozen=True)
class Ended:
    """The run at its end, and every version of it before."""

    namespace: str
    run: Object
    versions: list[Version]


@pytest.fixture(scope="module")
def ended(shared_runs: Runs) -> Ended:
    """Run it once for all tests."""
    shared_runs.apply(FLOW)
    with shared_runs.record() as recorded:
        shared_runs.apply(make_run("large", "large"))
        run = shared_runs.finish("large", seconds=250)
    return Ended(shared_runs.namespace, run, recorded.of("large"))


def test_every_child_has_its_end(ended: Ended) -> None:
    """All succeed but the one that fails, which is found by its index and tells why."""
    children = task_status(ended.run, "child")["children"]
    assert state(ended.run) == "Failed"
    assert children["total"] == CHILDREN
    assert children["counts"] == {"Success": CHILDREN - 1, "Failed": 1}
    assert {"state": "Failed", "indexes": str(FAILED)} in children["indexes"]
    assert "planted" in json.dumps(ended.run["status"])


def test_the_object_is_small_at_every_moment(ended: Ended) -> None:
    """No version that a watch brings reaches the budget, and some of them show it on its way."""
    sizes = [len(json.dumps(version.object, separators=(",", ":")).encode()) for version in ended.versions]
    print(f"{len(sizes)} versions, the largest of {max(sizes)} bytes")
    assert max(sizes) < MAX_BYTES
    assert any(task_status(version.object, "child").get("state") == "Mapped" for version in ended.versions[:-2])


def test_the_agent_writes_once_a_second_at_most(own_cluster: Cluster, ended: Ended) -> None:
    """From its claim to its last report it has not written more often than seconds went by."""
    writes = [
        datetime.fromisoformat(event["requestReceivedTimestamp"])
        for event in own_cluster.audit_events()
        if event["verb"] == "patch"
        and event["user"].get("username", "").startswith(f"system:serviceaccount:{ended.namespace}:flowrun-")
        and event["responseStatus"]["code"] == 200
    ]
    seconds = (max(writes) - min(writes)).total_seconds()
    print(f"{len(writes)} writes in {seconds:.1f} s to {FLOW_RUN}/{ended.run['metadata']['name']}")
    assert len(writes) <= seconds + AT_THEIR_OWN_TIME
