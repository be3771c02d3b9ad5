"""Gather children that many task runs use as a whole, once, by a unit without members.

Without it each child of a map with an unmapped map upstream would list all children of that map as sources.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from flowkiln.engine.driver.graph import Node
from flowkiln.engine.driver.in_flight import CHARGES_ALLOWED
from flowkiln.engine.driver.task_runs import NodeRuns
from flowkiln.engine.driver.units import ChildrenRef, Unit, UnitKey
from flowkiln.engine.driver.upstreams import UpstreamView, keys_in

ALL_CHILDREN = -2
"""The map index in the key of a gathering unit; no task run has it."""


@dataclass(slots=True, eq=False)
class Gathered:
    """A unit that gathers the children of a node, and the number of units in flight that use it.

    `is_current`: new units use it. It is False once a child has to run again.
    """

    node: int
    key: UnitKey
    users: int = 0
    is_ended: bool = False
    is_current: bool = True


class Gathering:
    """The gathering units of a run; their results are released as soon as they are no longer needed."""

    def __init__(
        self, run_id: str, nodes: Sequence[Node], runs: Sequence[NodeRuns], upstreams: UpstreamView, at_least: int
    ) -> None:
        self._run_id, self._nodes, self._runs, self._upstreams = run_id, nodes, runs, upstreams
        self._at_least = at_least
        users: Counter[int] = Counter()
        for node in nodes:
            # Each child of a map is one.
            several = 2 if node.is_mapped else 1
            users.update(dict.fromkeys((edge.upstream for edge in node.upstream if not edge.mapped), several))
        self._has_many_users = frozenset(number for number, count in users.items() if count > 1)
        self._known: dict[UnitKey, Gathered] = {}
        self._current: dict[int, Gathered] = {}
        self._visits: Counter[int] = Counter()
        self._losses: Counter[int] = Counter()
        self._new: list[Unit] = []

    def whole(self, number: int) -> ChildrenRef | None:
        """Return the source of the gathered children of a node; None if each user has to list them."""
        current = self._current.get(number)
        if current is None:
            count = len(self._runs[number].expanded or ())
            if (
                count < self._at_least
                or number not in self._has_many_users
                or self._losses.get(number, 0) >= CHARGES_ALLOWED
            ):
                return None
            current = self._gather(number)
        return ChildrenRef(current.key)

    def _gather(self, number: int) -> Gathered:
        self._visits[number] += 1
        name = self._nodes[number].local_id.replace("-", "_")
        key = (f"children_of_{name}-{self._run_id}", ALL_CHILDREN, self._visits[number])
        children = self._upstreams.children(number)
        needs = tuple(dict.fromkeys(keys_in(children)))
        self._new.append(Unit(key, (), needs, level=self._nodes[number].level + 1, gather=children))
        self._known[key] = self._current[number] = found = Gathered(number, key)
        return found

    @property
    def is_any_current(self) -> bool:
        """Whether the children of any node are, or will be, gathered."""
        return bool(self._current)

    def is_current(self, number: int) -> bool:
        """Whether the children of a node are, or will be, gathered."""
        return number in self._current

    def take_new(self) -> list[Unit]:
        """Remove and return the gathering units that must be submitted before their users."""
        new, self._new = self._new, []
        return new

    def note(self, needs: Iterable[UnitKey]) -> None:
        """Record a submitted unit that needs these."""
        for key in needs:
            if key in self._known:
                self._known[key].users += 1

    def settle(self, key: UnitKey, needs: Iterable[UnitKey], *, is_gathered: bool = False) -> list[UnitKey]:
        """Handle a unit that is no longer in flight; return the units to release."""
        if not self._known:
            return []
        for need in needs:
            if need in self._known:
                self._known[need].users -= 1
        own = self._known.get(key)
        if own is not None:
            own.is_ended = True
            if not is_gathered:
                self._retire(own)
        return self._free([*needs, key])

    def lost(self, key: UnitKey, *, charged: bool) -> list[UnitKey]:
        """Handle a gathering unit that is lost or will never end. `charged`: not because of another loss."""
        own = self._known.get(key)
        if own is None:
            return []
        self._losses[own.node] += charged
        own.is_ended = True
        self._retire(own)
        return self._free([key])

    def drop(self, number: int) -> list[UnitKey]:
        """Drop the gathered children of a node, which changed or are no longer needed; return the units to release."""
        current = self._current.get(number)
        if current is None:
            return []
        self._retire(current)
        return self._free([current.key])

    def clear(self) -> list[UnitKey]:
        """Handle the end of the run; return the units to release."""
        keys = [key for key, one in self._known.items() if one.is_ended]
        self._known.clear()
        self._current.clear()
        self._new.clear()
        return keys

    def problems(self, users: Mapping[UnitKey, int]) -> Iterator[str]:
        """Yield the counters that are wrong. `users` is the number of units in flight that need each unit."""
        for key, one in self._known.items():
            if one.users != users.get(key, 0):
                yield f"{users.get(key, 0)} units use {key}, but {one.users} are counted."
            if one.is_current != (self._current.get(one.node) is one):
                yield f"{key} is taken for current, or is not, against what is known of its node."

    def _retire(self, gathered: Gathered) -> None:
        if gathered.is_current:
            gathered.is_current = False
            del self._current[gathered.node]

    def _free(self, keys: Iterable[UnitKey]) -> list[UnitKey]:
        free = []
        for key in keys:
            one = self._known.get(key)
            if one is not None and one.is_ended and not one.is_current and not one.users:
                del self._known[key]
                free.append(key)
        return free
