"""What is read for a decision, and when."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from flowkiln_operator.controller.gather import gather
from flowkiln_operator.controller.memory import Memory
from flowkiln_operator.controller.sources import Direct
from tests.operator.builders import HOLDER
from tests.operator.controller.test_views import run

NOW = datetime(2026, 1, 1, 12, 1, tzinfo=UTC)
CLAIMED = {
    "state": "Running",
    "cluster": {"name": "monthly", "number": 1},
    "flow": {"state": "Running", "reason": "Running", "attempt": 1, "holder": {"podUID": HOLDER}},
}
DENIED = {"status": {"conditions": [{"type": "ReplicaFailure", "status": "True", "message": "exceeded quota"}]}}


class Api:
    """An API server that has a claimed run, its pods, and a Deployment that may not create any more."""

    def __init__(self, *pods: dict[str, Any]) -> None:
        self.pods = pods

    async def get(self, _version: str, kind: str, _namespace: str, _name: str) -> dict[str, Any] | None:
        """Return the FlowRun, and nothing else."""
        return run(status=CLAIMED) if kind == "FlowRun" else None

    async def list(self, _version: str, kind: str, _namespace: str, *, labels: str) -> list[dict[str, Any]]:
        """Return pods or Deployments of the run."""
        assert labels
        return list(self.pods) if kind == "Pod" else [DENIED]


def pod(component: str) -> dict[str, Any]:
    """Return a pod that is ready."""
    ready = {"type": "Ready", "status": "True", "lastTransitionTime": "2026-01-01T12:00:10Z"}
    metadata = {"name": component, "uid": component, "labels": {"dask.org/component": component}}
    return {"metadata": metadata, "status": {"phase": "Running", "conditions": [ready]}}


async def test_what_deployments_lack_is_known_while_a_claimed_run_has_no_worker() -> None:
    """A quota may let the scheduler in and no worker."""
    api = Api(pod("scheduler"))
    snapshot = await gather(Direct(api), api, Memory(), "team", "monthly", clock=lambda: NOW)  # type: ignore[arg-type]
    assert snapshot is not None
    assert snapshot.replica_failures == ("exceeded quota",)


async def test_deployments_are_not_read_once_there_is_a_worker() -> None:
    """They would tell nothing that matters."""
    api = Api(pod("scheduler"), pod("worker"))
    snapshot = await gather(Direct(api), api, Memory(), "team", "monthly", clock=lambda: NOW)  # type: ignore[arg-type]
    assert snapshot is not None
    assert (len(snapshot.pods), snapshot.deployments) == (2, 0)
