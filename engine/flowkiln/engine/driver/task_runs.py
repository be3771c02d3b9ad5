"""The driver's data about each task run."""

from __future__ import annotations

from dataclasses import dataclass, field

from flowkiln.engine.driver.phases import Phase
from flowkiln.engine.driver.units import StateSource, UnitKey
from flowkiln.states.records import NOT_MAPPED
from flowkiln.states.state import Mapped, Pending, State


@dataclass(slots=True, eq=False)
class TaskRun:
    """One task run: a plain one, a mapped parent (both `index` NOT_MAPPED) or a mapped child.

    `source` is the source of its State, `start_from` the state from which its next visit starts.
    `optimistic` says that something upstream was not finished when it was submitted, `alone` that it gets a unit of its
    own (after a loss), `visited` that it came back at least once. `charges` counts the worker losses charged to it, and
    `suspected` says that a lost worker may have run it. `inline`: its state includes its result, which is small.
    `blocked_at` is the number of changes in the run when it was last retried while BLOCKED. `keys` are the units that
    hold its results; `consumed`: nothing needs them any more.
    """

    node: int
    index: int = NOT_MAPPED
    phase: Phase = Phase.WAITING
    state: State = field(default_factory=lambda: Pending("Task not run."))
    source: StateSource | None = None
    start_from: StateSource | None = None
    visit: int = 0
    optimistic: bool = False
    alone: bool = False
    visited: bool = False
    charges: int = 0
    suspected: bool = False
    inline: bool = False
    elements: int | None = None
    inner: tuple[int, ...] | None = None
    unit: UnitKey | None = None
    keys: tuple[UnitKey, ...] = ()
    consumed: bool = False
    blocked_at: int = -1


@dataclass(slots=True, eq=False)
class NodeRuns:
    """All task runs of one node: the parent, and its children once the node is expanded.

    `unsubmitted` counts the runs that are neither submitted nor done, `unfinished` those that
    are not done.
    `element_ends` are the cumulative element counts of the children, or of the elements of the one run: cached for
    flattening. An expanded parent is SUBMITTED while its handlers are called; then it is DONE, unless they block it.
    """

    parent: TaskRun
    children: list[TaskRun] | None = None
    unsubmitted: int = 1
    unfinished: int = 1
    element_ends: list[int] | None = None

    @property
    def expanded(self) -> list[TaskRun] | None:
        """Return the children for downstream tasks: None also if a handler replaced the parent's state."""
        return self.children if self.children is not None and isinstance(self.parent.state, Mapped) else None

    @property
    def is_done(self) -> bool:
        """Return whether the node is finished: its children and its parent's handlers."""
        return not self.unfinished and self.parent.phase is Phase.DONE

    def all(self) -> list[TaskRun]:
        """Return the effective runs: the children of an expanded node, else the one run."""
        return [self.parent] if self.children is None else self.children

    def unsettled(self) -> list[TaskRun]:
        """Return the effective runs that are not done, with an expanded parent that a handler blocks."""
        runs = [run for run in self.all() if run.phase is not Phase.DONE]
        if self.children is not None and self.parent.phase is Phase.BLOCKED:
            runs.insert(0, self.parent)
        return runs
