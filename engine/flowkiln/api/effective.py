"""What a Flow and a FlowRun come to together: times as time spans, with the defaults and who wins over whom applied."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from flowkiln.api.durations import parse_duration
from flowkiln.api.flow import FlowSpec
from flowkiln.api.flow_run import FlowRunSpec


@dataclass(frozen=True, slots=True)
class RunTimes:
    """What can be known of a run's times before its Flow is found."""

    start_time: datetime | None
    """When the run starts; None: at once."""
    start_deadline: timedelta
    """How long the Flow may be missing, from creation or `start_time`."""
    ttl_after_finished: timedelta | None
    """How long the FlowRun is kept after its end; None: for ever."""


@dataclass(frozen=True, slots=True)
class ClusterTimes:
    """The times of a run that depend on its flow."""

    timeout: timedelta | None
    """How long the run may take: its own setting, else the flow's; None: no limit."""
    start_deadline: timedelta
    """How long the cluster may take from its creation to the agent's claim."""
    retain_after_failure: timedelta
    """How long the cluster is kept after the run Failed or Crashed."""


def run_times(run: FlowRunSpec) -> RunTimes:
    """Return the times that a FlowRun alone decides."""
    return RunTimes(
        start_time=run.start_time,
        start_deadline=parse_duration(run.start_deadline),
        ttl_after_finished=_parse_optional(run.ttl_after_finished),
    )


def cluster_times(flow: FlowSpec, run: FlowRunSpec) -> ClusterTimes:
    """Return the times that a FlowRun and the spec of its flow decide together."""
    return ClusterTimes(
        timeout=_parse_optional(run.timeout if run.timeout is not None else flow.timeout),
        start_deadline=parse_duration(flow.cluster.start_deadline),
        retain_after_failure=parse_duration(flow.cluster.retain_after_failure),
    )


def _parse_optional(text: str | None) -> timedelta | None:
    return None if text is None else parse_duration(text)
