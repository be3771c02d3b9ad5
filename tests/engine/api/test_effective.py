"""Times of a run."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from flowkiln.api.effective import cluster_times, run_times
from flowkiln.api.flow import FlowSpec
from flowkiln.api.flow_run import FlowRunSpec


def test_defaults_of_times() -> None:
    """Without settings there are deadlines, but no timeout and no deletion."""
    flow, run = FlowSpec(entrypoint="a:b"), FlowRunSpec()
    times = cluster_times(flow, run)
    assert times.timeout is None
    assert times.start_deadline == timedelta(minutes=5)
    assert times.retain_after_failure == timedelta(0)
    assert run_times(run).start_time is None
    assert run_times(run).start_deadline == timedelta(minutes=10)
    assert run_times(run).ttl_after_finished is None


@pytest.mark.parametrize(
    ("flow_timeout", "run_timeout", "seconds"),
    [("2h", None, 7200), (None, "5m", 300), ("2h", "5m", 300), ("5m", "2h", 7200)],
)
def test_the_runs_timeout_wins_over_the_flows(flow_timeout: str | None, run_timeout: str | None, seconds: int) -> None:
    """A run may have less time than its flow gives, or more."""
    times = cluster_times(FlowSpec(entrypoint="a:b", timeout=flow_timeout), FlowRunSpec(timeout=run_timeout))
    assert times.timeout == timedelta(seconds=seconds)


def test_a_run_says_when_it_starts_and_when_it_goes() -> None:
    """startTime and ttlAfterFinished become values to calculate with."""
    document = {"startTime": "2030-01-01T01:00:00+01:00", "ttlAfterFinished": "24h"}
    times = run_times(FlowRunSpec.model_validate(document))
    assert times.start_time == datetime(2030, 1, 1, tzinfo=UTC)
    assert times.ttl_after_finished == timedelta(days=1)
