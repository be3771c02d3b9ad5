from __future__ import annotations

import pickle
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowkiln.schedules import CronSchedule

NEW_YORK = ZoneInfo("America/New_York")
SPRING = datetime(2018, 3, 11, tzinfo=NEW_YORK)
AUTUMN = datetime(2018, 11, 4, tzinfo=NEW_YORK)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def clocks(dates: list[datetime]) -> list[tuple[int, int, int]]:
    """Give day, hour and minute as local clocks show them."""
    return [(date.day, date.hour, date.minute) for date in dates]


def utc_hours(dates: list[datetime]) -> list[int]:
    """Give the hours in UTC."""
    return [date.astimezone(UTC).hour for date in dates]


class TestCronSchedule:
    @pytest.mark.parametrize(
        "cron", ["", "* * * *", "* * * * * *", "60 * * * *", "x * * * *", "* * * 13 *", "0 0 31 2 *", "@never"]
    )
    def test_bad_expressions(self, cron: str) -> None:
        """An expression that means nothing, or never comes, is refused at construction."""
        with pytest.raises(ValueError, match="cron expression"):
            CronSchedule(cron)

    def test_other_types(self) -> None:
        """What is no str is refused."""
        with pytest.raises(TypeError, match="cron"):
            CronSchedule(5)  # type: ignore[arg-type]

    def test_without_a_start_it_is_utc(self) -> None:
        """No start date means UTC."""
        assert CronSchedule("30 6 * * *").next(2, after=datetime(2020, 1, 1)) == [
            datetime(2020, 1, 1, 6, 30, tzinfo=UTC),
            datetime(2020, 1, 2, 6, 30, tzinfo=UTC),
        ]

    def test_strictly_after(self) -> None:
        """`after` on a date gives the next one."""
        noon = datetime(2020, 1, 1, 12, tzinfo=UTC)
        assert CronSchedule("0 12 * * *").next(1, after=noon) == [noon + DAY]

    def test_after_defaults_to_now(self) -> None:
        """Dates asked for without `after` are in the future."""
        (date,) = CronSchedule("* * * * *").next(1)
        assert timedelta(0) < date - datetime.now(UTC) <= timedelta(minutes=1)

    def test_a_start_that_matches_is_a_date(self) -> None:
        """A matching start is first; one that is off by a microsecond is not."""
        start = datetime(2020, 1, 1, tzinfo=UTC)
        assert CronSchedule("0 0 * * *", start_date=start).next(1, after=start - 9 * DAY) == [start]
        late = start + timedelta(microseconds=1)
        assert CronSchedule("0 0 * * *", start_date=late).next(1, after=start - 9 * DAY) == [start + DAY]

    def test_the_end_is_inclusive(self) -> None:
        """Nothing comes after the end date."""
        start = datetime(2020, 1, 1, tzinfo=UTC)
        schedule = CronSchedule("0 0 * * *", start_date=start, end_date=start + DAY)
        assert schedule.next(9, after=start - DAY) == [start, start + DAY]

    def test_no_dates_asked_for(self) -> None:
        """n of zero or less gives nothing."""
        assert CronSchedule("* * * * *").next(0) == CronSchedule("* * * * *").next(-3) == []

    @pytest.mark.parametrize(
        ("nickname", "first"),
        [
            ("@hourly", datetime(2020, 1, 1, 1)),
            ("@daily", datetime(2020, 1, 2)),
            ("@weekly", datetime(2020, 1, 5)),
            ("@monthly", datetime(2020, 2, 1)),
            ("@yearly", datetime(2021, 1, 1)),
        ],
    )
    def test_nicknames(self, nickname: str, first: datetime) -> None:
        """The usual nicknames are understood."""
        assert CronSchedule(nickname).next(1, after=datetime(2020, 1, 1)) == [first.replace(tzinfo=UTC)]

    def test_survives_pickling_with_its_zone(self) -> None:
        """The zone comes back with the schedule."""
        schedule = pickle.loads(pickle.dumps(CronSchedule("0 9 * * *", start_date=SPRING)))
        assert clocks(schedule.next(2, after=SPRING)) == [(11, 9, 0), (12, 9, 0)]


class TestClockChanges:
    def test_hourly_in_spring(self) -> None:
        """The skipped hour does not occur."""
        dates = CronSchedule("0 * * * *", start_date=SPRING - HOUR).next(4, after=SPRING - HOUR)
        assert [date.hour for date in dates] == [0, 1, 3, 4]
        assert utc_hours(dates) == [5, 6, 7, 8]

    @pytest.mark.parametrize("cron", ["0 * * * *", "0 0-23 * * *"])
    def test_hourly_in_autumn(self, cron: str) -> None:
        """A wildcard hour means every real hour; classic skipped one."""
        dates = CronSchedule(cron, start_date=AUTUMN - HOUR).next(4, after=AUTUMN - HOUR)
        assert [date.hour for date in dates] == [0, 1, 1, 2]
        assert utc_hours(dates) == [4, 5, 6, 7]

    def test_half_hours_in_autumn_stay_in_order(self) -> None:
        """The repeated hour comes as a whole, then again as a whole."""
        dates = CronSchedule("*/30 * * * *", start_date=AUTUMN).next(6, after=AUTUMN + 30 * timedelta(minutes=1))
        assert clocks(dates) == [(4, 1, 0), (4, 1, 30), (4, 1, 0), (4, 1, 30), (4, 2, 0), (4, 2, 30)]
        instants = [date.astimezone(UTC) for date in dates]
        assert all(later - earlier == timedelta(minutes=30) for earlier, later in pairwise(instants))

    def test_a_fixed_time_in_the_repeated_hour_comes_once(self) -> None:
        """At its first occurrence, whatever `after`."""
        schedule = CronSchedule("30 1 * * *", start_date=AUTUMN - DAY)
        dates = schedule.next(3, after=AUTUMN - DAY)
        assert clocks(dates) == [(3, 1, 30), (4, 1, 30), (5, 1, 30)]
        assert utc_hours(dates) == [5, 5, 6]
        assert clocks(schedule.next(1, after=dates[1])) == [(5, 1, 30)]

    @pytest.mark.parametrize(("midnight", "utc"), [(SPRING, [14, 14, 13, 13]), (AUTUMN, [13, 13, 14, 14])])
    def test_daily_stays_at_nine(self, midnight: datetime, utc: list[int]) -> None:
        """Local time counts."""
        start = midnight.replace(hour=9) - 2 * DAY
        dates = CronSchedule("0 9 * * *", start_date=start).next(4, after=start - HOUR)
        assert [date.hour for date in dates] == [9, 9, 9, 9]
        assert utc_hours(dates) == utc

    def test_a_fixed_time_in_the_gap_moves_on_by_it_once(self) -> None:
        """2:30 is 3:30 that day and 2:30 again the next; classic added 1:30 the day after."""
        dates = CronSchedule("30 2 * * *", start_date=SPRING - DAY).next(3, after=SPRING - DAY)
        assert clocks(dates) == [(10, 2, 30), (11, 3, 30), (12, 2, 30)]

    def test_what_moves_onto_another_date_comes_once(self) -> None:
        """D19: each date once, also when 2:00 moves onto 3:00."""
        dates = CronSchedule("0 2,3 * * *", start_date=SPRING).next(3, after=SPRING)
        assert clocks(dates) == [(11, 3, 0), (12, 2, 0), (12, 3, 0)]

    def test_hourly_in_utc_has_every_hour(self) -> None:
        """UTC knows no clock changes, with a start there or without one."""
        for start in (None, SPRING.astimezone(UTC)):
            dates = CronSchedule("0 * * * *", start_date=start).next(6, after=SPRING)
            assert utc_hours(dates) == [6, 7, 8, 9, 10, 11]

    @pytest.mark.parametrize("cron", ["0 0 29 2 1#5", "0 0 31 4,6 1"])
    def test_rare_and_odd_days_terminate(self, cron: str) -> None:
        """D19: an expression that matches hardly ever still ends, with the dates there are."""
        dates = CronSchedule(cron).next(3, after=datetime(2020, 1, 1))
        assert dates == sorted(set(dates))

    def test_the_end_of_the_calendar(self) -> None:
        """At the end of the year 9999 there are no more dates, rather than an error."""
        assert CronSchedule("0 0 1 1 *").next(3, after=datetime(9999, 6, 1)) == []

    @given(
        st.sampled_from(["America/New_York", "Europe/Berlin", "Australia/Lord_Howe", "America/Havana", "Pacific/Apia"]),
        st.datetimes(datetime(2011, 1, 1), datetime(2012, 12, 31)),
        st.sampled_from(
            [
                "* * * * *",
                "*/20 * * * *",
                "0 */2 * * *",
                "0 * * * *",
                "30 1,2 * * *",
                "15 2 * * *",
                "0 0 * * 0",
                "0 9 30 12 *",
            ]
        ),
    )
    def test_dates_depend_on_nothing_but_after(self, zone: str, wall: datetime, cron: str) -> None:
        """For any `after`: strictly later, strictly increasing, and the same dates that an earlier `after` leads to."""
        schedule = CronSchedule(cron, start_date=datetime(2010, 1, 1, tzinfo=ZoneInfo(zone)))
        after = wall.replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)
        dates = [date.astimezone(UTC) for date in schedule.next(5, after=after)]
        assert len(dates) == 5
        assert all(earlier < later for earlier, later in pairwise([after, *dates]))
        assert [date.astimezone(UTC) for date in schedule.next(4, after=dates[0])] == dates[1:]
        between: Any = after + (dates[0] - after) / 2
        assert schedule.next(1, after=between)[0].astimezone(UTC) == dates[0]

    @given(
        st.sampled_from(["America/New_York", "Europe/Berlin", "Australia/Lord_Howe", "America/Havana"]),
        st.integers(0, 365 * 24 * 2),
    )
    def test_wildcard_hours_match_exactly_the_real_minutes(self, zone: str, hours: int) -> None:
        """Dates of `0,30 * * * *` are those real instants whose local minute is 0 or 30, by brute force."""
        there = ZoneInfo(zone)
        after = datetime(2011, 1, 1, tzinfo=UTC) + timedelta(hours=hours)
        minutes = (after + timedelta(minutes=i) for i in range(1, 181))
        expected = [minute for minute in minutes if minute.astimezone(there).minute in {0, 30}]
        schedule = CronSchedule("0,30 * * * *", start_date=datetime(2010, 1, 1, tzinfo=there))
        found = [date.astimezone(UTC) for date in schedule.next(len(expected), after=after)]
        assert found == expected
