"""The last events and moves of a run, for error messages."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence

from flowkiln.engine.driver.events import Event, MemberStuck, Outcome, UnitEnded, WorkerLost
from flowkiln.engine.driver.graph import Node
from flowkiln.engine.driver.phases import Phase
from flowkiln.engine.driver.task_runs import TaskRun
from flowkiln.states.records import NOT_MAPPED

EVENTS_KEPT = 30
MOVES_KEPT = 1000
MOVES_TOLD = 30
"""Maximum number of moves in a message, of one task run if the message concerns one."""


class History:
    """The last events and moves of a run. Without errors the only cost is appending to it."""

    def __init__(self, nodes: Sequence[Node]) -> None:
        self._nodes = nodes
        self._events: deque[tuple[int, Event]] = deque(maxlen=EVENTS_KEPT)
        self.events = 0
        self.moves: deque[tuple[int, TaskRun, Phase, Phase]] = deque(maxlen=MOVES_KEPT)
        """The moves with the number of their event: the task run, its old phase and its new one."""

    def note(self, event: Event) -> None:
        """Add an event; subsequent moves belong to it."""
        self.events += 1
        self._events.append((self.events, event))

    def name(self, run: TaskRun) -> str:
        """Return the full name of a task run."""
        local_id = self._nodes[run.node].local_id
        return local_id if run.index == NOT_MAPPED else f"{local_id}[{run.index}]"

    def text(self, run: TaskRun | None = None) -> str:
        """Return the last events, and the last moves of one task run or of all, as text without user data."""
        moves = [move for move in self.moves if run is None or move[1] is run][-MOVES_TOLD:]
        lines = [f"  event {number}: {_describe(event)}" for number, event in self._events]
        whose = "the run" if run is None else self.name(run)
        return "\n".join(["Last events:", *lines, f"Last moves of {whose}:", *map(self._line, moves)])

    def _line(self, move: tuple[int, TaskRun, Phase, Phase]) -> str:
        number, run, before, after = move
        return f"  event {number}: {self.name(run)} {before.name} -> {after.name}"


def _describe(event: Event) -> str:
    return " ".join([type(event).__name__, *_details(event)])


def _details(event: Event) -> Iterator[str]:
    key = getattr(event, "key", None)
    if key is not None:
        yield repr(key)
    for name in ("node", "local_id", "map_index", "length", "open", "charged", "gathered"):
        if hasattr(event, name):
            yield f"{name}={getattr(event, name)!r}"
    if isinstance(event, WorkerLost):
        yield ", ".join(f"{unit.key} began={unit.began}" for unit in event.units)
    if isinstance(event, UnitEnded | MemberStuck):
        yield ", ".join(map(_outcome, event.outcomes)) or "no outcomes"


def _outcome(outcome: Outcome) -> str:
    return f"{outcome.node}[{outcome.map_index}] {type(outcome.state).__name__}"
