"""Sessions: the execution of the units of one run by an executor."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from flowkiln.engine.driver import MemberStuck, UnitForgotten, UnitLost, UnitPolicy, UnitShortened, WorkerLost
from flowkiln.engine.driver.units import StateSource, Unit, UnitKey
from flowkiln.engine.mapping.children import Submits
from flowkiln.engine.unit_runner import UnitReport, UnitResult, resolve, run_unit
from flowkiln.states.records import TaskRunRecord
from flowkiln.states.state import State

if TYPE_CHECKING:
    from flowkiln.engine.environment import RunEnvironment

Records = list[TaskRunRecord]

Delivery = UnitReport | UnitLost | UnitForgotten | UnitShortened | WorkerLost | MemberStuck | Records | BaseException
Deliver = Callable[[Delivery], None]
"""Called by a session with its events, from any thread. An exception ends the run."""


class Session(Protocol):
    """Executes the units of one run."""

    policy: UnitPolicy

    def submit(self, units: Sequence[Unit]) -> None:
        """Submit units; each is executed once its needs are held."""

    def set_gate(self, is_open: bool) -> None:
        """Open or close the gate; while it is closed, units that have not started come back without running."""

    def pump(self, is_awaited: Callable[[], bool]) -> bool:
        """Make some progress in the calling thread; return False if there is nothing to do.

        It returns soon when `is_awaited`: the caller has something to do.
        """

    def fetch(self, sources: Sequence[StateSource]) -> list[State]:
        """Get states with their values."""

    def release(self, keys: Sequence[UnitKey]) -> None:
        """Release the results of these units."""

    def cancel(self, keys: Sequence[UnitKey]) -> None:
        """Stop units that were submitted."""

    def close(self) -> None:
        """End the session."""


class _UnitQueue:
    """Units that wait for others, and ready units, the most recent first.

    Last in, first out makes chained maps run depth first: one element runs through all maps before the next one starts.
    """

    def __init__(self) -> None:
        self.held: dict[UnitKey, UnitResult] = {}
        self._missing: dict[UnitKey, set[UnitKey]] = {}
        self._users: dict[UnitKey, list[Unit]] = {}
        self._ready: deque[Unit] = deque()

    def add(self, units: Sequence[Unit]) -> None:
        ready = []
        for unit in units:
            missing = {key for key in unit.needs if key not in self.held}
            if not missing:
                ready.append(unit)
                continue
            self._missing[unit.key] = missing
            for key in missing:
                self._users.setdefault(key, []).append(unit)
        self._ready.extendleft(reversed(ready))

    def hold(self, key: UnitKey, held: UnitResult) -> None:
        self.held[key] = held
        freed = []
        for unit in self._users.pop(key, ()):
            missing = self._missing.get(unit.key)
            if missing is None:
                continue
            missing.discard(key)
            if not missing:
                del self._missing[unit.key]
                freed.append(unit)
        self._ready.extendleft(reversed(freed))

    def take(self) -> Unit | None:
        return self._ready.popleft() if self._ready else None

    def drop(self, keys: Sequence[UnitKey]) -> None:
        gone = set(keys)
        self._ready = deque(unit for unit in self._ready if unit.key not in gone)
        for key in gone:
            self._missing.pop(key, None)

    def fetch(self, sources: Sequence[StateSource]) -> list[State]:
        return [resolve(source, self.held) for source in sources]


class SequentialSession:
    """Runs one unit at a time, in the thread that pumps.

    Children of a map travel together, but not so that it could be seen: each one's records are told when it ends, and
    the rest of a unit comes back where the run has something else to do.
    """

    policy = UnitPolicy(fuse_children=True, waves=1)

    def __init__(self, executor: Submits, environment: RunEnvironment, deliver: Deliver) -> None:
        self._executor, self._environment, self._deliver = executor, environment, deliver
        self._units = _UnitQueue()
        self._open = True

    def submit(self, units: Sequence[Unit]) -> None:
        """Submit units; they run when the session is pumped."""
        self._units.add(units)

    def set_gate(self, is_open: bool) -> None:
        """Open or close the gate, which units check before each member."""
        self._open = is_open

    def pump(self, is_awaited: Callable[[], bool]) -> bool:
        """Run one unit."""
        unit = self._units.take()
        if unit is None:
            return False
        held, report = run_unit(
            self._environment,
            unit,
            [self._units.held[key] for key in unit.needs],
            announce=lambda _position, record: self._deliver([record]),
            tell=self._deliver,
            may_begin=lambda position: self._open and not (position and is_awaited()),
            is_shared=False,
        )
        self._units.hold(unit.key, held)
        self._deliver(report)
        return True

    def fetch(self, sources: Sequence[StateSource]) -> list[State]:
        """Get states with their values."""
        return self._units.fetch(sources)

    def release(self, keys: Sequence[UnitKey]) -> None:
        """Release the results of these units."""
        for key in keys:
            self._units.held.pop(key, None)

    def cancel(self, keys: Sequence[UnitKey]) -> None:
        """Drop units that have not run."""
        self._units.drop(keys)

    def close(self) -> None:
        """Do nothing: the session has no resources."""


class SubmittingSession(SequentialSession):
    """A session on an executor's public `submit` and `wait`, for executors of users.

    A unit is submitted when its needs exist, so lazy executors run nothing twice.
    """

    policy = UnitPolicy()

    def __init__(self, executor: Submits, environment: RunEnvironment, deliver: Deliver) -> None:
        super().__init__(executor, environment, deliver)
        self._outstanding: deque[tuple[Unit, Any]] = deque()

    def pump(self, is_awaited: Callable[[], bool]) -> bool:
        """Submit all ready units, then wait for the oldest."""
        while (unit := self._units.take()) is not None:
            needs = [self._units.held[key] for key in unit.needs]
            if not self._open:
                self._send_back(unit)
                return True
            self._outstanding.append((unit, self._executor.submit(run_unit, self._environment, unit, needs)))
        if not self._outstanding:
            return False
        unit, future = self._outstanding.popleft()
        held, report = self._executor.wait(future)
        self._units.hold(unit.key, held)
        self._deliver(report)
        return True

    def _send_back(self, unit: Unit) -> None:
        self._units.hold(unit.key, UnitResult(()))
        self._deliver(UnitReport(unit.key, (), ()))

    def cancel(self, keys: Sequence[UnitKey]) -> None:
        """Drop units that have not run, and do not wait for those that do."""
        super().cancel(keys)
        gone = set(keys)
        self._outstanding = deque(pair for pair in self._outstanding if pair[0].key not in gone)
