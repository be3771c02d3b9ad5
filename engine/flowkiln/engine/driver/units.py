"""Units, their members, and the sources of upstream states.

Values never pass through the driver. A `Source` says where an upstream state is: inline, or held by the executor as the
n-th state of an earlier unit. Objects that exist for every task run are named tuples: a frozen dataclass takes five
times as long to create and to unpickle.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from flowkiln.states.state import State

UnitKey = tuple[str, int, int]
"""`(prefix made of local id and run id, map index, visit)`: so Dask's task prefix identifies the task."""


class InlineState(NamedTuple):
    """An inline state."""

    state: State


class StateRef(NamedTuple):
    """The state at `position` in the result of the unit `key`."""

    key: UnitKey
    position: int


class ResumedState(NamedTuple):
    """A Resume state with the inputs of the waiting state."""

    source: InlineState | StateRef


StateSource = InlineState | StateRef | ResumedState
"""The source of the state of one task run."""


class Element(NamedTuple):
    """A copy of a state with the element at `path` as its result."""

    source: StateSource
    path: tuple[int, ...]


class Children(NamedTuple):
    """A Mapped state of children, whose result is the list of theirs."""

    sources: tuple[StateSource, ...]


class ChildrenRef(NamedTuple):
    """The Mapped state of all states in the result of the unit `key`."""

    key: UnitKey


Source = StateSource | Element | Children | ChildrenRef


class Member(NamedTuple):
    """One task run in a unit. `upstream` has the sources of the node's edges, in order; `initial` is None for a fresh
    start.

    `only_for_next`: only the next member uses the result, so it is dropped afterwards.
    """

    node: int
    map_index: int
    visit: int
    initial: StateSource | None
    upstream: tuple[Source, ...]
    only_for_next: bool = False


@dataclass(frozen=True, slots=True)
class Unit:
    """One Dask task: members that run one after another; `needs` are the units whose states they use.

    `announce_first`: the start of a member is reported before it runs, so a lost worker is charged to the member that
    was running. `repeats`: a member that is retried without delay is retried within the unit. `level` is the depth of
    the first member in the graph. `gather`: a unit without members whose result is the states of these children.
    """

    key: UnitKey
    members: tuple[Member, ...]
    needs: tuple[UnitKey, ...]
    announce_first: bool = False
    repeats: bool = False
    level: int = 0
    gather: Children | None = None
