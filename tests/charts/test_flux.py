"""The health check expressions that docs/gitops.md gives to Flux, evaluated."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cel
import pytest
import yaml

from flowkiln.api.reasons import Reason, RunState

from .statuses import STATES, flow_run

GITOPS = Path(__file__).parents[2] / "docs" / "gitops.md"

FLUX: Mapping[RunState, str] = {
    RunState.SCHEDULED: "InProgress",
    RunState.PENDING: "InProgress",
    RunState.RUNNING: "InProgress",
    RunState.PAUSED: "InProgress",
    RunState.SUCCESS: "Current",
    RunState.FAILED: "Failed",
    RunState.CRASHED: "Failed",
    RunState.CANCELLED: "Current",
}


@functools.cache
def expressions() -> Mapping[str, str]:
    """Return the expressions of the Kustomization in docs/gitops.md."""
    blocks = re.findall(r"```yaml\n(.*?)```", GITOPS.read_text(encoding="utf-8"), re.DOTALL)
    (found,) = [block for block in map(yaml.safe_load, blocks) if block["kind"] == "Kustomization"]
    (ours,) = found["spec"]["healthCheckExprs"]
    assert (ours["apiVersion"], ours["kind"]) == ("flowkiln.dev/v1alpha1", "FlowRun")
    return {name: text for name, text in ours.items() if name not in ("apiVersion", "kind")}


def flux(document: Mapping[str, Any]) -> str:
    """Return the status of a FlowRun as Flux computes it with `healthCheckExprs`.

    A generation that was not observed yet comes first; then the expressions, in this order, on the object's top-level
    fields; when none is true the object is InProgress. A field that is not there is an error, as it is for Flux.
    """
    status, generation = document.get("status", {}), document["metadata"]["generation"]
    if status.get("observedGeneration", generation) != generation:
        return "InProgress"
    for name, meaning in (("inProgress", "InProgress"), ("failed", "Failed"), ("current", "Current")):
        if name in expressions() and cel.evaluate(expressions()[name], dict(document)) is True:
            return meaning
    return "InProgress"


@pytest.mark.parametrize("ready", [True, False], ids=["cluster ready", "no cluster"])
@pytest.mark.parametrize(("state", "reason"), STATES)
def test_flux_waits_until_a_run_has_ended(state: RunState, reason: Reason, ready: bool) -> None:
    """They differ from kstatus in nothing but a run that is Paused: somebody must decide first."""
    assert flux(flow_run(state, reason, cluster_is_ready=ready)) == FLUX[state]
    assert flux(flow_run(state, reason, cluster_is_ready=ready, generation=2)) == "InProgress"


@pytest.mark.parametrize("status", [{}, {"conditions": []}, {"flow": {"state": "Success", "reason": "Succeeded"}}])
@pytest.mark.parametrize("observed", [0, 1])
def test_flux_waits_for_a_run_without_conditions(status: Mapping[str, Any], observed: int) -> None:
    """The status that the API server gives a new object is no error, nor is one that lacks a part."""
    document = {"metadata": {"generation": 1}, "status": {"observedGeneration": observed, **status}}
    assert flux(document) == "InProgress"
