"""The API server goes away for a while: neither the operator nor its runs may mind."""

from __future__ import annotations

import time

from tests.cluster.harness.interface import Cluster

from .flows import HELLO, make_flow, make_run
from .runs import Runs, state

OUTAGE_SECONDS = 8

SLOW = make_flow(
    "slow",
    {"name": "slow", "function": "slow:wait"},
    source={"slow.py": "import time\n\ndef wait():\n    for _ in range(200):\n        time.sleep(0.1)\n"},
)


def test_a_run_survives_an_outage_of_the_api_server(own_cluster: Cluster, runs: Runs) -> None:
    """The pods go on, and the operator, restarted or not, finds everything as it was and ends the run.

    A run that is created right afterwards runs as well: the watches are taken up again.
    """
    runs.apply(SLOW, HELLO, make_run("steady", "slow"))
    before = runs.wait_until("steady", "runs", lambda run: state(run) == "Running")
    pods = {pod["metadata"]["uid"] for pod in runs.pods(before, "worker")}
    with own_cluster.api_server_down():
        time.sleep(OUTAGE_SECONDS)
    runs.installation.wait_until_ready()
    assert {pod["metadata"]["uid"] for pod in runs.pods(before, "worker")} == pods
    runs.apply(make_run("fresh", "hello"))
    after = runs.finish("steady")["status"]
    assert (after["state"], after["startTime"]) == ("Success", before["status"]["startTime"])
    assert after["flow"]["attempt"] == 1
    assert state(runs.finish("fresh")) == "Success"
