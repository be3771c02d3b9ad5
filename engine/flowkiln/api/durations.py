"""Durations as the Gateway API writes them (GEP-2257): `90s`, `5m`, `1h30m`, `500ms`."""

from __future__ import annotations

import re
from datetime import timedelta

DURATION_PATTERN = r"^([0-9]{1,5}(h|m|s|ms)){1,4}$"
WHOLE_SECONDS_PATTERN = r"^([0-9]{1,5}(h|m|s)){1,3}$"

_DURATION = re.compile(DURATION_PATTERN)
_PART = re.compile(r"([0-9]{1,5})(ms|h|m|s)")
_UNIT_MILLISECONDS = {"h": 3_600_000, "m": 60_000, "s": 1_000, "ms": 1}


class DurationError(ValueError):
    """A text is no duration."""


def parse_duration(text: str) -> timedelta:
    """Read a duration; raise DurationError when it does not follow GEP-2257."""
    if not _DURATION.fullmatch(text):
        raise DurationError(f"{text!r} is no duration; write it like 90s, 5m, 1h30m or 500ms")
    milliseconds = sum(int(number) * _UNIT_MILLISECONDS[unit] for number, unit in _PART.findall(text))
    return timedelta(milliseconds=milliseconds)


def parse_seconds(text: str) -> float:
    """Read a duration as seconds; raise DurationError when it does not follow GEP-2257."""
    return parse_duration(text).total_seconds()


def parse_whole_seconds(text: str) -> int:
    """Read a duration that is a whole number of seconds; raise DurationError for anything else."""
    seconds, rest = divmod(parse_duration(text), timedelta(seconds=1))
    if rest:
        raise DurationError(f"{text!r} is not a whole number of seconds")
    return seconds
