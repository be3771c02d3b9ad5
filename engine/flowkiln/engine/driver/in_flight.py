"""Units in flight, and the verdicts on their members after a loss."""

from __future__ import annotations

import enum
from collections.abc import ItemsView, Iterator, Sequence
from dataclasses import dataclass, replace

from flowkiln.engine.driver.events import LostUnit
from flowkiln.engine.driver.task_runs import TaskRun
from flowkiln.engine.driver.units import UnitKey

CHARGES_ALLOWED = 3
"""Worker losses charged to a task run after which it is Crashed."""


class Verdict(enum.Enum):
    """The decision about a task run whose unit was lost."""

    RERUN = enum.auto()
    RERUN_ALONE = enum.auto()
    CRASH = enum.auto()


@dataclass(frozen=True, slots=True)
class SubmittedUnit:
    """A submitted unit: its task runs, and the units whose states it needs. A plain unit has no mapped children."""

    runs: Sequence[TaskRun]
    needs: tuple[UnitKey, ...]
    is_plain: bool


class UnitsInFlight:
    """The units in flight; `plain` is the number of those without mapped children."""

    def __init__(self) -> None:
        self._units: dict[UnitKey, SubmittedUnit] = {}
        self._lost: set[UnitKey] = set()
        self.plain = 0

    def __len__(self) -> int:
        return len(self._units)

    def __contains__(self, key: UnitKey) -> bool:
        return key in self._units

    def __iter__(self) -> Iterator[UnitKey]:
        return iter(self._units)

    def is_early(self, key: UnitKey) -> bool:
        """Whether a unit is in flight, and so is one that it needs."""
        unit = self._units.get(key)
        return unit is not None and not self._units.keys().isdisjoint(unit.needs)

    def items(self) -> ItemsView[UnitKey, SubmittedUnit]:
        """Every unit by its key."""
        return self._units.items()

    def add(self, key: UnitKey, unit: SubmittedUnit) -> None:
        """Add a submitted unit."""
        self._units[key] = unit
        self.plain += unit.is_plain

    def take(self, key: UnitKey) -> SubmittedUnit | None:
        """Remove and return a unit; None if it was not in flight."""
        unit = self._units.pop(key, None)
        if unit is not None:
            self.plain -= unit.is_plain
        return unit

    def lose(self, key: UnitKey) -> SubmittedUnit | None:
        """Record that a unit or its results are lost; remove and return it if it was in flight."""
        self._lost.add(key)
        return self.take(key)

    def shorten(self, key: UnitKey, length: int) -> Sequence[TaskRun]:
        """Truncate a unit to its first `length` members; return the others."""
        unit = self._units.get(key)
        if unit is None:
            return ()
        self._units[key] = replace(unit, runs=unit.runs[:length])
        return unit.runs[length:]

    def clear(self) -> None:
        """Remove all units."""
        self._units.clear()
        self.plain = 0

    def judge_lost_unit(self, unit: SubmittedUnit) -> Verdict:
        """Judge the members of a unit that will never end.

        A unit fails with its needed units, and among several members the cause is unknown: such members are rerun, each
            in its own unit.
        """
        fails_with_another = any(need in self._lost or need in self._units for need in unit.needs)
        return Verdict.RERUN_ALONE if fails_with_another or len(unit.runs) > 1 else Verdict.CRASH


@dataclass(frozen=True, slots=True)
class Judged:
    """A task run of a lost unit, the verdict, and whether its body ran or may have run."""

    run: TaskRun
    verdict: Verdict
    ran: bool


def judge_lost_worker(lost: Sequence[tuple[LostUnit, SubmittedUnit]], *, charged: bool) -> Iterator[Judged]:
    """Charge the members that were running on a lost worker and judge all members that were there.

    Workers report starts with a delay, unless a unit announces them first. So the last reported member may have ended,
    and any later one may have started. These members are suspected. They are rerun, each in its own unit that announces
    starts first. A suspicion counts as a charge once a worker is lost that was reported running the suspect.
    """
    is_anyone_known = any(one.began is not None or one.likely for one, _ in lost)
    for one, unit in lost:
        for position, run in enumerate(unit.runs):
            is_last = position + 1 == len(unit.runs)
            if one.began is None:
                is_sure, is_suspect = False, one.likely and not run.alone
            else:
                is_sure = position == one.began and is_last
                is_suspect = position >= one.began and not is_sure
            ran = is_sure or is_suspect or (one.began is not None and position < one.began)
            if not charged:
                yield Judged(run, Verdict.RERUN, ran)
                continue
            run.charges += is_sure
            run.suspected = run.suspected or is_suspect
            if is_sure and run.charges + run.suspected >= CHARGES_ALLOWED:
                yield Judged(run, Verdict.CRASH, ran)
            elif is_sure or is_suspect or not is_anyone_known:
                yield Judged(run, Verdict.RERUN_ALONE, ran)
            else:
                yield Judged(run, Verdict.RERUN, ran)
