"""The API server goes away for a while: neither the operator nor its runs may mind."""

from __future__ import annotations

import time

from tests.cluster.harness.interface import Cluster

from . import holding
from .flows import HELLO, make_flow, make_run
from .runs import Runs, is_at_work, state

OUTAGE_SECONDS = 8
PATIENCE = 300  # seconds; the longer the outage was, the longer controllers wait before they try again

HELD = make_flow("held", {"name": "hold", "function": "holding:hold"}, source=holding.SOURCE)


def test_a_run_survives_an_outage_of_the_api_server(own_cluster: Cluster, runs: Runs) -> None:
    """The pods go on, and the operator, restarted or not, finds everything as it was and ends the run.

    A run that is created right afterwards runs as well: the watches are taken up again.
    """
    runs.apply(HELD, HELLO, make_run("steady", "held"))
    before = runs.wait_until("steady", "is at work", lambda run: is_at_work(run, "hold"))
    pods = {pod["metadata"]["uid"] for pod in runs.pods(before, "worker")}
    with own_cluster.api_server_down():
        time.sleep(OUTAGE_SECONDS)
    runs.installation.wait_until_ready()
    assert {pod["metadata"]["uid"] for pod in runs.pods(before, "worker")} == pods
    holding.release(runs, "steady")
    runs.apply(make_run("fresh", "hello"))
    after = runs.finish("steady", seconds=PATIENCE)["status"]
    assert (after["state"], after["startTime"]) == ("Success", before["status"]["startTime"])
    assert after["flow"]["attempt"] == 1
    assert state(runs.finish("fresh", seconds=PATIENCE)) == "Success"
