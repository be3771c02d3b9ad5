"""What Prometheus can ask the operator."""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from flowkiln.api.reasons import RunState


class Metrics:
    """The operator's own figures, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.reconciles = Counter("flowkiln_reconciles", "Looks at a run.", registry=self.registry)
        self.conflicts = Counter(
            "flowkiln_reconcile_conflicts", "Looks at a run that had changed before the write.", registry=self.registry
        )
        self.errors = Counter("flowkiln_reconcile_errors", "Looks at a run that failed.", registry=self.registry)
        self.duration = Histogram(
            "flowkiln_reconcile_duration_seconds", "Time of one look at a run.", registry=self.registry
        )
        self.runs = Gauge("flowkiln_runs", "FlowRuns in each state.", ["state"], registry=self.registry)

    def show_runs(self, states: Iterable[str]) -> None:
        """Count the FlowRuns by their states; those that have none yet count as Pending."""
        tally = Tally(state or RunState.PENDING.value for state in states)
        for state in RunState:
            self.runs.labels(state.value).set(tally.get(state.value, 0))

    def render(self) -> bytes:
        """Return all figures in Prometheus' text format."""
        return generate_latest(self.registry)
