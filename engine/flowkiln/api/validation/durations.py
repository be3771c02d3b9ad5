"""Durations: limits that no run could keep, and waits that contradict each other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta

from flowkiln.api.durations import parse_duration
from flowkiln.api.flow import FlowSpec, Retries
from flowkiln.api.flow_run import FlowRunSpec
from flowkiln.api.validation.problem import Problem

_NOTHING = timedelta(0)
_MAX_TIMEOUT = timedelta(days=366)


def check_durations(spec: FlowSpec) -> Iterator[Problem]:
    """Check the durations of a flow."""
    yield from _check_timeouts({"timeout": spec.timeout})
    for index, task in enumerate(spec.tasks):
        yield from _check_timeouts({f"tasks[{index}].timeout": task.timeout})
        if task.retries is not None:
            yield from _check_retries(f"tasks[{index}].retries", task.retries)
    yield from _check_deadlines(
        {
            "cluster.startDeadline": spec.cluster.start_deadline,
            "cluster.workers.ttl": spec.cluster.workers.ttl,
        }
    )


def check_run_durations(spec: FlowRunSpec) -> Iterator[Problem]:
    """Check the durations of a FlowRun."""
    yield from _check_timeouts({"timeout": spec.timeout})
    yield from _check_deadlines({"startDeadline": spec.start_deadline})


def _check_timeouts(timeouts: Mapping[str, str | None]) -> Iterator[Problem]:
    for field, text in timeouts.items():
        if text is None:
            continue
        span = parse_duration(text)
        if span == _NOTHING:
            yield Problem(field, "must be at least 1s; leave it out for no limit")
        elif span > _MAX_TIMEOUT:
            yield Problem(field, f"{text} is longer than a year (8784h); leave it out for no limit")


def _check_deadlines(deadlines: Mapping[str, str]) -> Iterator[Problem]:
    for field, text in deadlines.items():
        if parse_duration(text) < timedelta(seconds=1):
            yield Problem(field, f"must be at least 1s, not {text}")


def _check_retries(field: str, retries: Retries) -> Iterator[Problem]:
    delay = parse_duration(retries.delay)
    if retries.max_delay is not None and parse_duration(retries.max_delay) < delay:
        yield Problem(f"{field}.maxDelay", f"{retries.max_delay} is shorter than delay, {retries.delay}")
    if retries.backoff_factor > 1 and delay == _NOTHING:
        yield Problem(f"{field}.backoffFactor", "needs a delay that it can multiply")
    if retries.jitter_percent and delay == _NOTHING:
        yield Problem(f"{field}.jitterPercent", "needs a delay that it can vary")
