"""Records of a run in progress: small values without results.

The agent's status, the progress display and the logs are derived from records alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from flowkiln.states.state import State, kind_of, message_text, own_class_of

NOT_MAPPED = -1
"""The map index of a task run that is not a mapped child."""


class TaskRunRecord(NamedTuple):
    """The last known State of one task run, without its value.

    `task` is the local id; `map_index` is `NOT_MAPPED` for a plain task run and for a mapped parent.
    `state` is the built-in class of the State, `state_class` the name of its own class if that differs.
    Times are seconds since the epoch. `due` is when a waiting task run may start again.
    `visit` counts submissions of this task run for any reason, `run_count` the attempts of its body. `map_size` is the
    number of children of a mapped parent.

    A named tuple: two of them or more are made, pickled and read for every task run.
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
    state_class: str = ""

    @property
    def title(self) -> str:
        """Return the state for display: `Failed`, or `Failed (QualityFailed)` for a user's class."""
        return _title(self.state, self.state_class)


@dataclass(frozen=True, slots=True)
class FlowRunRecord:
    """The State of the flow run: its built-in class, its message, and its own class as for a task run."""

    state: str
    message: str = ""
    state_class: str = ""

    @property
    def title(self) -> str:
        """Return the state for display."""
        return _title(self.state, self.state_class)


def record_of_flow(state: State) -> FlowRunRecord:
    """Make the record of the State of a flow run."""
    return FlowRunRecord(kind_of(state), message_text(state), own_class_of(state))


def _title(state: str, state_class: str) -> str:
    return f"{state} ({state_class})" if state_class else state


class Observer(Protocol):
    """Receives every record of a run, in order per task run; called from the engine's thread, so it must be quick."""

    def on_task_runs(self, records: Sequence[TaskRunRecord]) -> None:
        """Handle State changes of task runs, oldest first."""

    def on_flow_run(self, record: FlowRunRecord) -> None:
        """Handle a State change of the flow run."""
