"""The children of one mapped task: their states as sets of indexes, changed one child at a time."""

from __future__ import annotations

from array import array

from flowkiln.states.kinds import FINISHED, NOT_STARTED
from flowkiln_operator.agent.projection.groups import Priority, priority
from flowkiln_operator.status.indexes import IndexSet


class Children:
    """States of the children 0 … total - 1; a child without records is Pending."""

    __slots__ = ("_sets", "_states", "_visits", "last_end")

    def __init__(self, total: int) -> None:
        self._states: list[str] = [NOT_STARTED] * total
        self._visits = array("L", bytes(array("L").itemsize * total))
        self._sets: dict[str, IndexSet] = {NOT_STARTED: IndexSet(total)} if total else {}
        self.last_end: float | None = None

    @property
    def total(self) -> int:
        """Return the number of children."""
        return len(self._states)

    def state(self, index: int) -> str:
        """Return the state of one child."""
        return self._states[index]

    def visit(self, index: int) -> int:
        """Return the visit of a child's state."""
        return self._visits[index]

    def set_state(self, index: int, state: str, visit: int) -> str:
        """Set the state of a child; return the old one."""
        old = self._states[index]
        self._visits[index] = visit
        if old != state:
            self._states[index] = state
            self._take(old, index)
            self._sets.setdefault(state, IndexSet()).add(index)
        return old

    def grow(self, total: int) -> int:
        """Add Pending children up to `total`, and return how many were added."""
        added = total - len(self._states)
        if added <= 0:
            return 0
        pending = self._sets.setdefault(NOT_STARTED, IndexSet())
        for index in range(len(self._states), total):
            pending.add(index)
        self._states.extend([NOT_STARTED] * added)
        self._visits.extend([0] * added)
        return added

    def counts(self) -> dict[str, int]:
        """Return the number of children in each state, ordered by name."""
        return {state: len(self._sets[state]) for state in sorted(self._sets)}

    def by_importance(self) -> list[tuple[str, IndexSet]]:
        """Return states and indexes, the most important first."""
        return sorted(self._sets.items(), key=lambda item: (priority(item[0]), item[0]))

    def priority(self) -> Priority:
        """Return the priority of the mapped task: that of its most important child."""
        return min((priority(state) for state in self._sets), default=Priority.OTHER)

    def finished(self) -> bool:
        """Return whether every child has ended."""
        return all(state in FINISHED for state in self._sets)

    def unfinished(self) -> list[int]:
        """Return the children that have not ended."""
        return [index for state, indexes in self._sets.items() if state not in FINISHED for index in indexes]

    def _take(self, state: str, index: int) -> None:
        indexes = self._sets[state]
        indexes.remove(index)
        if not indexes:
            del self._sets[state]
