"""Schedules at equal intervals, and of a single date."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import count

from flowkiln.schedules.schedule import Schedule, instant_or_now
from flowkiln.schedules.zones import first_instant, instant, wall_clock

_DAY = timedelta(days=1)
_MIN_INTERVAL = timedelta(seconds=60)


class IntervalSchedule(Schedule):
    """The dates `start_date + k * interval`, microseconds included.

    An interval of whole days follows the calendar of `start_date`'s zone: daily at 9:00 stays at 9:00 when clocks
    change (a skipped local time moves forward by the skipped span). Any other interval is elapsed time.

    Raises:
        TypeError: `start_date` is not a datetime, or `interval` is not a timedelta.
        ValueError: `interval` is under 60 seconds.
    """

    start_date: datetime

    def __init__(self, start_date: datetime, interval: timedelta, end_date: datetime | None = None) -> None:
        if not isinstance(start_date, datetime):
            raise TypeError(f"start_date must be a datetime, not {start_date!r}.")
        if not isinstance(interval, timedelta):
            raise TypeError(f"interval must be a timedelta, not {interval!r}.")
        if interval < _MIN_INTERVAL:
            raise ValueError(f"interval must be at least 60 seconds, not {interval}.")
        super().__init__(start_date, end_date)
        self.interval = interval

    def next(self, n: int, after: datetime | None = None) -> list[datetime]:
        """Return at most `n` dates, strictly later than `after` (default: now)."""
        later_than = instant_or_now(after)
        on_calendar = self.interval % _DAY == timedelta(0)
        dates = self._calendar_days(later_than) if on_calendar else self._elapsed(later_than)
        return self._first(n, dates, later_than)

    def _elapsed(self, after: datetime) -> Iterator[datetime]:
        start = instant(self.start_date)
        return _until_the_end_of_time(
            start + k * self.interval for k in count(max(0, (after - start) // self.interval))
        )

    def _calendar_days(self, after: datetime) -> Iterator[datetime]:
        zone = self._zone()
        start = wall_clock(instant(self.start_date), zone)
        # Two days back: no clock was ever set back further, so no date later than `after` is missed.
        first = max(0, (wall_clock(after, zone) - 2 * _DAY - start) // self.interval)
        dates = (
            first_instant(start + k * self.interval, zone) if k else instant(self.start_date) for k in count(first)
        )
        return _ascending(_until_the_end_of_time(dates))


class OneTimeSchedule(IntervalSchedule):
    """One date.

    Raises:
        TypeError: `start_date` is not a datetime.
    """

    def __init__(self, start_date: datetime) -> None:
        super().__init__(start_date, interval=_DAY, end_date=start_date)


def _until_the_end_of_time(dates: Iterator[datetime]) -> Iterator[datetime]:
    try:
        yield from dates
    except OverflowError:  # the year 10000
        return


def _ascending(dates: Iterator[datetime]) -> Iterator[datetime]:
    # A zone that skips a whole day, as Samoa did in 2011, moves the date of that day onto the next day.
    last: datetime | None = None
    for date in dates:
        if last is None or date > last:
            yield date
            last = date
