"""What travels to where task runs are executed: units of members, and where each finds its upstream states.

Values never pass through the driver. A `Source` says where an upstream state is: given literally, or held by the
executor as the n-th state of an earlier unit.

What exists for every task run is a named tuple: a frozen dataclass takes five times as long to make and to unpickle.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from flowkiln.states.state import State

UnitKey = tuple[str, int, int]
"""`(prefix made of local id and run id, map index, visit)`: Dask's task prefix is then the task."""


class InlineState(NamedTuple):
    """The state itself."""

    state: State


class StateRef(NamedTuple):
    """The state at `position` of what the unit `key` left behind."""

    key: UnitKey
    position: int


class ResumedState(NamedTuple):
    """A Resume with the inputs of the state that waited."""

    source: InlineState | StateRef


StateSource = InlineState | StateRef | ResumedState
"""Where the whole state of one task run is to be found."""


class Element(NamedTuple):
    """A copy of a state whose result is the element at `path`."""

    source: StateSource
    path: tuple[int, ...]


class Children(NamedTuple):
    """A Mapped state made of children, whose result is the list of theirs."""

    sources: tuple[StateSource, ...]


class ChildrenRef(NamedTuple):
    """The Mapped state made of all that the unit `key` left behind."""

    key: UnitKey


Source = StateSource | Element | Children | ChildrenRef


class Member(NamedTuple):
    """One task run in a unit. `upstream` goes with the node's edges, in order; `initial` is None for a fresh start.

    `only_for_next`: nobody but the next member uses the result, so it need not outlive that one.
    """

    node: int
    map_index: int
    visit: int
    initial: StateSource | None
    upstream: tuple[Source, ...]
    only_for_next: bool = False


@dataclass(frozen=True, slots=True)
class Unit:
    """Members that travel together and run one after another; `needs` are the units whose states they use.

    `announce_first`: that a member begins is told before it runs, so that its worker's death can be laid to it.
    `repeats`: a member that is to be retried at once is retried in its place. `level`: how deep in the graph the first
    member is. `gather`: a unit without members, which leaves behind the states of these children.
    """

    key: UnitKey
    members: tuple[Member, ...]
    needs: tuple[UnitKey, ...]
    announce_first: bool = False
    repeats: bool = False
    level: int = 0
    gather: Children | None = None
