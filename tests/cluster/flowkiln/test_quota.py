"""A quota that refuses the operator itself."""

from __future__ import annotations

from .flows import HELLO, make_run
from .rooms import limit
from .runs import Runs, condition, state
from .watching import RUN_LABEL


def test_a_quota_on_our_own_objects_is_told_and_waited_for(runs: Runs) -> None:
    """ClusterReady says QuotaExceeded, nothing hangs, and once there is room the run goes on, with its one Secret."""
    limit(runs, "none", "count/daskclusters.kubernetes.dask.org", 0)
    runs.apply(HELLO, make_run("poor", "hello"))
    runs.wait_until(
        "poor", "tells of the quota", lambda run: condition(run, "ClusterReady").get("reason") == "QuotaExceeded"
    )
    runs.kubectl("delete", "resourcequota", "none")
    assert state(runs.finish("poor")) == "Success"
    secrets = [one["metadata"]["name"] for one in runs.list("secrets", selector=RUN_LABEL)]
    assert len([name for name in secrets if "-tls-" in name]) == 1
