"""Quotas: one that refuses the operator itself, and one that wants to know what every container takes."""

from __future__ import annotations

import copy

from tests.cluster.harness.commands import wait_until

from .flows import HELLO, make_run
from .rooms import limit, limit_all
from .runs import Runs, condition, state
from .watching import RUN_LABEL


def test_a_quota_on_our_own_objects_is_told_and_waited_for(runs: Runs) -> None:
    """ClusterReady says QuotaExceeded, nothing hangs, and once there is room the run goes on, with its one Secret."""
    limit(runs, "none", "count/daskclusters.kubernetes.dask.org", 0)
    runs.apply(HELLO, make_run("poor", "hello"))
    runs.wait_until(
        "poor", "tells of the quota", lambda run: condition(run, "ClusterReady").get("reason") == "QuotaExceeded"
    )
    secrets = [one["metadata"]["name"] for one in runs.list("secrets", selector=RUN_LABEL)]
    assert len([name for name in secrets if "-tls-" in name]) == 1
    runs.kubectl("delete", "resourcequota", "none")
    assert state(runs.finish("poor")) == "Success"
    wait_until("the Secret is gone", lambda: not runs.list("secrets", selector=RUN_LABEL), seconds=60)


def test_a_quota_that_requires_requests_and_limits_accepts_all_pods(runs: Runs) -> None:
    """Scheduler, agent and workers say what they request and what they may use, if the flow says so for each."""
    resources = {"resources": {"requests": {"cpu": "50m", "memory": "128Mi"}, "limits": {"cpu": 1, "memory": "512Mi"}}}
    flow = copy.deepcopy(HELLO)
    flow["spec"]["cluster"] = {"scheduler": resources, "agent": resources, "workers": {"replicas": 2, **resources}}
    hard = {"requests.cpu": "200m", "requests.memory": "512Mi", "limits.cpu": "4", "limits.memory": "2Gi"}
    limit_all(runs, "everything", hard)
    runs.apply(flow, make_run("counted", "hello"))
    assert state(runs.finish("counted")) == "Success"
