"""What the driver remembers of each task run."""

from __future__ import annotations

from dataclasses import dataclass, field

from flowkiln.engine.driver.phases import Phase
from flowkiln.engine.driver.units import StateSource, UnitKey
from flowkiln.states.records import NOT_MAPPED
from flowkiln.states.state import Mapped, Pending, State


@dataclass(slots=True, eq=False)
class TaskRun:
    """One task run: a plain one, a mapped parent (both `index` NOT_MAPPED) or a mapped child.

    `source` is where its State is to be found, `start_from` what its next visit starts from.
    `optimistic` says that something upstream was not finished when it was submitted, `alone` that it gets a unit of its
    own (after a loss), `visited` that it came back at least once. `charges` counts the workers that died under it, and
    `suspected` says that one died which perhaps ran it. `inline`: its state has its result, which is small.
    `blocked_at` counts the changes in the run when this one was last tried again although nothing promised success.
    `keys` are the units that left something of it behind; `consumed`: nobody needs that any more.
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

    `unsubmitted` counts the runs that downstream cannot build on (neither submitted nor done), `unfinished` those that
    are not done.
    `element_ends` are the elements of all children, or the inner elements of the one run, added up: cached for who
    flattens them.
    An expanded parent is SUBMITTED while its handlers are called; then it is DONE, unless they hold it up.
    """

    parent: TaskRun
    children: list[TaskRun] | None = None
    unsubmitted: int = 1
    unfinished: int = 1
    element_ends: list[int] | None = None

    @property
    def expanded(self) -> list[TaskRun] | None:
        """The children as downstream sees them: None also if a handler of the parent's made it another state."""
        return self.children if isinstance(self.parent.state, Mapped) else None

    @property
    def is_done(self) -> bool:
        """Whether nothing of the node is to come: neither from its children nor from its parent's handlers."""
        return not self.unfinished and self.parent.phase is Phase.DONE

    def all(self) -> list[TaskRun]:
        """The runs that count: the children of an expanded node, else the one run."""
        return [self.parent] if self.children is None else self.children

    def unsettled(self) -> list[TaskRun]:
        """The runs that count and are not done, with an expanded parent that a handler holds up."""
        runs = [run for run in self.all() if run.phase is not Phase.DONE]
        if self.children is not None and self.parent.phase is Phase.BLOCKED:
            runs.insert(0, self.parent)
        return runs
