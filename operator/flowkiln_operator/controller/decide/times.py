"""The times of a run that depend on its flow."""

from __future__ import annotations

from flowkiln.api.effective import ClusterTimes, cluster_times
from flowkiln.api.flow import FlowSpec
from flowkiln.api.flow_run import FlowRunSpec
from flowkiln_operator.controller.snapshot import Snapshot


def times(snapshot: Snapshot) -> ClusterTimes:
    """Return the run's times from its plan, else from its Flow, else the defaults."""
    fixed = snapshot.fixed_plan
    found = fixed.plan.spec if fixed else (snapshot.flow.spec if snapshot.flow else None)
    return cluster_times(found or FlowSpec(), snapshot.run.spec or FlowRunSpec())
