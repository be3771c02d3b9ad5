"""What is told about a run while it goes on: small values without results.

Records are the one stream that the agent's status, the ledger, the CLI's progress display and the logs are made from.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

NOT_MAPPED = -1
"""The map index of a task run that is no child of a mapped task."""


@dataclass(frozen=True, slots=True)
class TaskRunRecord:
    """The last known State of one task run, without its value.

    `task` is the local id; `map_index` is `NOT_MAPPED` for a plain task run and for a mapped parent.
    Times are seconds since the epoch. `due` is when a waiting task run may start again.
    `visit` counts submissions of this task run for whatever reason, `run_count` the attempts of its body.
    `map_size` is the number of children, of a mapped parent only.
    """

    task: str
    map_index: int
    state: str
    message: str = ""
    traceback: str = ""
    start_time: float | None = None
    end_time: float | None = None
    due: float | None = None
    run_count: int = 0
    visit: int = 0
    map_size: int | None = None
    worker: str = ""


@dataclass(frozen=True, slots=True)
class FlowRunRecord:
    """The State of the flow run as a whole: the class name of the State, and its message."""

    state: str
    message: str = ""


class Observer(Protocol):
    """Gets every record of a run, in order per task run; called from the engine's own thread, so it must be quick."""

    def on_task_runs(self, records: Sequence[TaskRunRecord]) -> None:
        """Take State changes of task runs, oldest first."""

    def on_flow_run(self, record: FlowRunRecord) -> None:
        """Take a State change of the flow run."""
