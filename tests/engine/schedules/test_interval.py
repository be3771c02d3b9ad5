from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowkiln.schedules import IntervalSchedule, OneTimeSchedule, Schedule

NEW_YORK = ZoneInfo("America/New_York")
SPRING = datetime(2018, 3, 11, tzinfo=NEW_YORK)
AUTUMN = datetime(2018, 11, 4, tzinfo=NEW_YORK)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def local_hours(dates: list[datetime]) -> list[int]:
    """Give the hours as local clocks show them."""
    return [date.hour for date in dates]


def utc_hours(dates: list[datetime]) -> list[int]:
    """Give the hours in UTC."""
    return [date.astimezone(UTC).hour for date in dates]


class TestSchedule:
    def test_the_base_says_nothing(self) -> None:
        """The base class has dates to keep to, but none of its own."""
        with pytest.raises(NotImplementedError):
            Schedule().next(1)

    def test_naive_dates_count_as_utc(self) -> None:
        """Dates without a zone are taken for UTC."""
        schedule = Schedule(start_date=datetime(2020, 1, 1), end_date=datetime(2020, 2, 1))
        assert schedule.start_date == datetime(2020, 1, 1, tzinfo=UTC)
        assert schedule.end_date == datetime(2020, 2, 1, tzinfo=UTC)

    def test_dates_are_datetimes(self) -> None:
        """Anything else is refused, by name."""
        with pytest.raises(TypeError, match="end_date"):
            Schedule(end_date="2020-01-01")  # type: ignore[arg-type]


class TestIntervalSchedule:
    @pytest.mark.parametrize("interval", [timedelta(0), timedelta(seconds=59), -DAY])
    def test_intervals_under_a_minute_are_refused(self, interval: timedelta) -> None:
        """So are zero and negative ones."""
        with pytest.raises(ValueError, match="interval"):
            IntervalSchedule(datetime(2020, 1, 1), interval)

    def test_the_start_date_is_checked_first(self) -> None:
        """A start that is no datetime is a TypeError, whatever the interval."""
        for start in (None, "2020-01-01", 5):
            with pytest.raises(TypeError, match="start_date"):
                IntervalSchedule(start, timedelta(0))  # type: ignore[arg-type]
        with pytest.raises(TypeError, match="interval"):
            IntervalSchedule(datetime(2020, 1, 1), 60)  # type: ignore[arg-type]

    def test_dates_from_the_start(self) -> None:
        """With `after` before the start the start is first; on a date it is the next one; microseconds are kept."""
        start = datetime(2020, 1, 1, 0, 0, 0, 7, tzinfo=UTC)
        for interval in (HOUR, DAY, timedelta(days=1, hours=1)):
            schedule = IntervalSchedule(start, interval)
            assert schedule.next(2, after=start - 3 * DAY) == [start, start + interval]
            assert schedule.next(1, after=start) == [start + interval]
            assert schedule.next(1, after=start + interval - timedelta(microseconds=1)) == [start + interval]
            assert schedule.next(1, after=start + 100 * interval) == [start + 101 * interval]

    def test_nothing_after_the_end(self) -> None:
        """The end date is inclusive."""
        start = datetime(2020, 1, 1, tzinfo=UTC)
        schedule = IntervalSchedule(start, DAY, end_date=start + 2 * DAY)
        assert schedule.next(10, after=start) == [start + DAY, start + 2 * DAY]
        assert schedule.next(1, after=start + 2 * DAY) == []

    def test_no_dates_asked_for(self) -> None:
        """n of zero or less gives nothing."""
        schedule = IntervalSchedule(datetime(2020, 1, 1), DAY)
        assert schedule.next(0) == schedule.next(-1) == []

    def test_after_defaults_to_now(self) -> None:
        """Dates asked for without `after` are in the future."""
        (date,) = IntervalSchedule(datetime(2020, 1, 1), HOUR).next(1)
        assert date > datetime.now(UTC)

    def test_a_naive_after_counts_as_utc(self) -> None:
        """`after` follows the same rule as the bounds."""
        assert IntervalSchedule(datetime(2020, 1, 1), DAY).next(1, after=datetime(2020, 1, 1)) == [
            datetime(2020, 1, 2, tzinfo=UTC)
        ]

    def test_dates_end_with_the_calendar(self) -> None:
        """At the end of the year 9999 there are no more dates, rather than an error."""
        for interval in (HOUR, DAY):
            dates = IntervalSchedule(datetime(9999, 12, 31, 22), interval).next(5, after=datetime(9999, 12, 31))
            assert 1 <= len(dates) <= 2


class TestClockChanges:
    def test_hourly_in_spring(self) -> None:
        """The skipped hour does not occur."""
        dates = IntervalSchedule(SPRING - HOUR, HOUR).next(4, after=SPRING - HOUR)
        assert local_hours(dates) == [0, 1, 3, 4]
        assert utc_hours(dates) == [5, 6, 7, 8]

    def test_hourly_in_autumn(self) -> None:
        """The repeated hour occurs twice."""
        dates = IntervalSchedule(AUTUMN - HOUR, HOUR).next(4, after=AUTUMN - HOUR)
        assert local_hours(dates) == [0, 1, 1, 2]
        assert utc_hours(dates) == [4, 5, 6, 7]

    @pytest.mark.parametrize(("midnight", "utc"), [(SPRING, [14, 14, 13, 13]), (AUTUMN, [13, 13, 14, 14])])
    def test_daily_stays_at_nine(self, midnight: datetime, utc: list[int]) -> None:
        """Whole days are counted on the calendar."""
        start = midnight.replace(hour=9) - 2 * DAY
        dates = IntervalSchedule(start, DAY).next(4, after=start - HOUR)
        assert local_hours(dates) == [9, 9, 9, 9]
        assert utc_hours(dates) == utc

    def test_hourly_in_utc_has_every_hour(self) -> None:
        """A start in UTC knows no clock changes."""
        start = SPRING.astimezone(UTC)
        dates = IntervalSchedule(start, HOUR).next(6, after=start - HOUR)
        assert [date - start for date in dates] == [HOUR * i for i in range(6)]

    def test_no_hour_is_repeated_a_day_after_spring(self) -> None:
        """Smaller fault: hourly dates around the day after the change come once each."""
        start = SPRING - 5 * DAY
        dates = IntervalSchedule(start, HOUR).next(72, after=SPRING)
        instants = [date.astimezone(UTC) for date in dates]
        assert all(later - earlier == HOUR for earlier, later in pairwise(instants))

    def test_a_daily_time_in_the_gap_moves_on_by_it(self) -> None:
        """2:30 becomes 3:30 in the night that has no 2:30, and is 2:30 again the day after."""
        start = SPRING.replace(hour=2, minute=30) - DAY
        dates = IntervalSchedule(start, DAY).next(3, after=start - HOUR)
        assert [(date.hour, date.minute) for date in dates] == [(2, 30), (3, 30), (2, 30)]

    def test_a_skipped_day_gives_one_date(self) -> None:
        """Samoa had no 30 December 2011: its date falls on the next day's, which comes once."""
        start = datetime(2011, 12, 28, 9, tzinfo=ZoneInfo("Pacific/Apia"))
        dates = IntervalSchedule(start, DAY).next(4, after=start - HOUR)
        assert [date.day for date in dates] == [28, 29, 31, 1]

    def test_a_start_in_the_second_of_two_hours_is_a_date_itself(self) -> None:
        """start_date is the first date exactly, also at the later of two equal local times."""
        start = AUTUMN.replace(hour=1, fold=1)
        for interval in (HOUR, DAY):
            (date,) = IntervalSchedule(start, interval).next(1, after=AUTUMN)
            assert date.astimezone(UTC) == start.astimezone(UTC)

    @given(
        st.sampled_from(["America/New_York", "Europe/Berlin", "Australia/Lord_Howe", "America/Havana", "Pacific/Apia"]),
        st.datetimes(datetime(2011, 1, 1), datetime(2012, 12, 31)),
        st.sampled_from([timedelta(minutes=7), HOUR, DAY, 3 * DAY, timedelta(days=1, hours=5)]),
        st.timedeltas(timedelta(days=-2), timedelta(days=400)),
    )
    def test_dates_depend_on_nothing_but_after(
        self, zone: str, wall: datetime, interval: timedelta, later: Any
    ) -> None:
        """For any `after`: strictly later, strictly increasing, and the same dates that an earlier `after` leads to."""
        start = wall.replace(tzinfo=ZoneInfo(zone))
        schedule = IntervalSchedule(start, interval)
        after = start.astimezone(UTC) + later
        dates = [date.astimezone(UTC) for date in schedule.next(5, after=after)]
        assert len(dates) == 5
        assert all(earlier < later for earlier, later in pairwise([after, *dates]))
        assert [date.astimezone(UTC) for date in schedule.next(4, after=dates[0])] == dates[1:]
        assert dates[0] >= start.astimezone(UTC)


class TestOneTimeSchedule:
    def test_one_date(self) -> None:
        """The date, or nothing once it is over."""
        start = datetime(2020, 1, 1, tzinfo=UTC)
        schedule = OneTimeSchedule(start)
        assert isinstance(schedule, IntervalSchedule)
        assert schedule.next(3, after=start - DAY) == [start]
        assert schedule.next(3, after=start) == []
        with pytest.raises(TypeError, match="start_date"):
            OneTimeSchedule(None)  # type: ignore[arg-type]
