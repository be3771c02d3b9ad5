"""The API server goes away for a while: neither the operator nor its runs may mind."""

from __future__ import annotations

import time

import pytest

from .harness.interface import Cluster, Images
from .installation import SYSTEM, Runs, installed, small_flow

__all__ = ["installed"]

OUTAGE_SECONDS = 8


@pytest.fixture
def runs(cluster: Cluster, installed: Images, namespace: str) -> Runs:
    """Return the FlowRuns of a fresh namespace."""
    return Runs(cluster, namespace)


def test_a_run_survives_an_outage_of_the_api_server(own_cluster: Cluster, runs: Runs) -> None:
    """The pods go on; the operator, restarted or not, finds everything as it was and ends the run as it would have."""
    slow = {"name": "slow", "function": "steps:slow", "inputs": [{"name": "seconds", "value": 20}]}
    runs.create("steady", flowSpec=small_flow("slow", tasks=[slow]))
    before = runs.wait_for_state("steady", "Running")
    pods = {pod["metadata"]["uid"] for pod in runs.items("pods")}
    with own_cluster.api_server_down():
        time.sleep(OUTAGE_SECONDS)
    runs.cluster.kubectl("wait", "deployment/flowkiln-operator", f"--namespace={SYSTEM}", "--for=condition=Available")
    assert {pod["metadata"]["uid"] for pod in runs.items("pods")} == pods
    after = runs.wait_for_state("steady", "Success", seconds=120)
    assert after["startTime"] == before["startTime"]
    assert after["flow"]["attempt"] == 1


def test_a_run_that_is_created_right_after_an_outage_runs(own_cluster: Cluster, runs: Runs) -> None:
    """The watches are taken up again."""
    with own_cluster.api_server_down():
        time.sleep(OUTAGE_SECONDS)
    runs.create("fresh", flowSpec=small_flow("quick"))
    runs.wait_for_state("fresh", "Success", seconds=120)
