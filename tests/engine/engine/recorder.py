"""An observer for tests."""

from __future__ import annotations

from collections.abc import Sequence

from flowkiln.states.records import FlowRunRecord, TaskRunRecord


class Recorder:
    """Keeps the records of a run."""

    def __init__(self) -> None:
        self.records: list[TaskRunRecord] = []

    def on_task_runs(self, records: Sequence[TaskRunRecord]) -> None:
        """Keep them."""
        self.records.extend(records)

    def on_flow_run(self, record: FlowRunRecord) -> None:
        """Of no interest here."""

    def of(self, name: str) -> list[TaskRunRecord]:
        """Return those of one task."""
        return [record for record in self.records if record.task == name]
