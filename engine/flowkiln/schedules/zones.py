"""Convert between local times and instants, also around clock changes. All instants are in UTC.

Aware datetimes of one zone compare by wall clock, which runs backwards once a year, so arithmetic uses UTC only.
"""

from __future__ import annotations

from datetime import UTC, datetime, tzinfo


def aware(moment: datetime) -> datetime:
    """Return the datetime in its zone; a naive one counts as UTC."""
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


def instant(moment: datetime) -> datetime:
    """Return the instant of a datetime; a naive one counts as UTC."""
    return aware(moment).astimezone(UTC)


def wall_clock(moment: datetime, zone: tzinfo) -> datetime:
    """Return the naive local time of an instant."""
    return moment.astimezone(zone).replace(tzinfo=None, fold=0)


def first_instant(wall: datetime, zone: tzinfo) -> datetime:
    """Return the instant of a naive local time.

    A time that occurs twice means its first occurrence. A skipped time moves forward by the skipped span: 2:30 in a
    night when 2:00 becomes 3:00 is the instant of 3:30.
    """
    return wall.replace(tzinfo=zone, fold=0).astimezone(UTC)


def all_instants(wall: datetime, zone: tzinfo) -> list[datetime]:
    """Return every instant with a naive local time: one, two, or none if the clock skips it."""
    both = {wall.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1)}
    return sorted(moment for moment in both if wall_clock(moment, zone) == wall)
