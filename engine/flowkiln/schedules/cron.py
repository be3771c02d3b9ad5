"""Schedules by a cron expression."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, tzinfo
from heapq import heappop, heappush

from cronsim import CronSim, CronSimError

from flowkiln.schedules.schedule import Schedule, instant_or_now
from flowkiln.schedules.zones import all_instants, first_instant, wall_clock

_NICKNAMES = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_N_FIELDS = 5
# Clocks are set back by less than this, so local times further apart keep their order as instants.
_MAX_OVERLAP = timedelta(hours=3)


class CronSchedule(Schedule):
    """The dates that match a cron expression of five fields, or a nickname like `@daily`, in `start_date`'s zone.

    When clocks change, an expression with a wildcard hour matches every instant whose local time matches: skipped local
    times have no match, repeated ones have two. An expression with fixed hours matches each local time once: the first
    of two, and a skipped local time moves forward by the skipped span (2:30 to 3:30).

    Raises:
        TypeError: `cron` is not a str, or a date is not a datetime.
        ValueError: `cron` is not a valid expression.
    """

    def __init__(self, cron: str, start_date: datetime | None = None, end_date: datetime | None = None) -> None:
        if not isinstance(cron, str):
            raise TypeError(f"A cron expression is a str, not {cron!r}.")
        super().__init__(start_date, end_date)
        self.cron = cron
        self._expression = _NICKNAMES.get(cron.strip().lower(), cron)
        if len(self._expression.split()) != _N_FIELDS:
            raise ValueError(f"{cron!r} is no cron expression: it needs five fields, minute to day of week.")
        try:
            parsed = CronSim(self._expression, datetime(2000, 1, 1))
        except CronSimError as error:
            raise ValueError(f"{cron!r} is no cron expression: {error}.") from error
        self._every_hour = parsed.parts[2].startswith("*") or len(parsed.hours) == 24

    def next(self, n: int, after: datetime | None = None) -> list[datetime]:
        """Return at most `n` dates, strictly later than `after` (default: now)."""
        later_than = instant_or_now(after)
        if self.start_date is not None:
            just_before = self.start_date.astimezone(UTC) - timedelta(microseconds=1)
            later_than = max(later_than, just_before)
        return self._first(n, self._instants(later_than), later_than)

    def _instants(self, after: datetime) -> Iterator[datetime]:
        """Yield matching instants, ascending and without duplicates, from some time before `after`."""
        zone = self._zone()
        start = wall_clock(after, zone) - _MAX_OVERLAP - _clock_change_near(after, zone)
        instants: list[datetime] = []
        last: datetime | None = None
        for wall in _walls(self._expression, start):
            due = first_instant(wall, zone)
            for moment in all_instants(wall, zone) if self._every_hour else [due]:
                heappush(instants, moment)
            while instants and instants[0] <= due - _MAX_OVERLAP:
                moment = heappop(instants)
                if moment != last:
                    yield moment
                last = moment
        while instants:
            moment = heappop(instants)
            if moment != last:
                yield moment
            last = moment


def _walls(expression: str, start: datetime) -> Iterator[datetime]:
    """Yield the matching local times, until fifty years have no match."""
    try:
        yield from CronSim(expression, start)
    except OverflowError:  # the year 10000
        return


def _clock_change_near(moment: datetime, zone: tzinfo) -> timedelta:
    """Return the clock change within two days before and after; zones have skipped whole days."""
    now = wall_clock(moment, zone) - moment.replace(tzinfo=None)
    near = [moment - timedelta(days=2), moment + timedelta(days=2)]
    return max(abs(wall_clock(each, zone) - each.replace(tzinfo=None) - now) for each in near)
