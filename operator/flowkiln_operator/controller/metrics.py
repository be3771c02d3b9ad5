"""Prometheus metrics of the operator."""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from flowkiln.api.reasons import RunState


class Metrics:
    """The operator's metrics, in their own registry."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.reconciles = Counter("flowkiln_reconciles", "Reconciles of FlowRuns.", registry=self.registry)
        self.conflicts = Counter(
            "flowkiln_reconcile_conflicts",
            "Reconciles of FlowRuns that failed because the FlowRun had changed.",
            registry=self.registry,
        )
        self.errors = Counter(
            "flowkiln_reconcile_errors", "Reconciles of FlowRuns that failed with an error.", registry=self.registry
        )
        self.duration = Histogram(
            "flowkiln_reconcile_duration_seconds",
            "Duration of one reconcile of a FlowRun, in seconds.",
            registry=self.registry,
        )
        self.runs = Gauge("flowkiln_runs", "Number of FlowRuns in each state.", ["state"], registry=self.registry)

    def show_runs(self, states: Iterable[str]) -> None:
        """Set the number of FlowRuns in each state; those without a state count as Pending."""
        tally = Tally(state or RunState.PENDING.value for state in states)
        for state in RunState:
            self.runs.labels(state.value).set(tally.get(state.value, 0))

    def render(self) -> bytes:
        """Return all metrics in Prometheus' text format."""
        return generate_latest(self.registry)
