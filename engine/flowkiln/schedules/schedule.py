"""The base of all schedules."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, tzinfo
from itertools import islice, takewhile

from flowkiln.schedules.zones import aware, instant


class Schedule:
    """Dates at which a flow runs. Subclasses define `next`.

    Args:
        start_date: no date is before it; its zone is the schedule's.
        end_date: no date is after it.

    Raises:
        TypeError: one of them is not a datetime.
    """

    def __init__(self, start_date: datetime | None = None, end_date: datetime | None = None) -> None:
        for name, given in (("start_date", start_date), ("end_date", end_date)):
            if given is not None and not isinstance(given, datetime):
                raise TypeError(f"{name} must be a datetime, not {given!r}.")
        self.start_date = None if start_date is None else aware(start_date)
        self.end_date = None if end_date is None else aware(end_date)

    def next(self, n: int, after: datetime | None = None) -> list[datetime]:
        """Return at most `n` dates, strictly later than `after` (default: now)."""
        raise NotImplementedError(f"{type(self).__name__} does not say when.")

    def _zone(self) -> tzinfo:
        zone = None if self.start_date is None else self.start_date.tzinfo
        return UTC if zone is None else zone

    def _first(self, n: int, ascending: Iterator[datetime], after: datetime) -> list[datetime]:
        """Return the first `n` of ascending instants within this schedule's bounds and later than `after`, as dates."""
        end = None if self.end_date is None else instant(self.end_date)
        start = None if self.start_date is None else instant(self.start_date)
        later = (moment for moment in ascending if moment > after and (start is None or moment >= start))
        admitted = takewhile(lambda moment: end is None or moment <= end, later)
        return [moment.astimezone(self._zone()) for moment in islice(admitted, max(n, 0))]


def instant_or_now(after: datetime | None) -> datetime:
    """Return the instant of `after`, or now."""
    return datetime.now(UTC) if after is None else instant(after)
