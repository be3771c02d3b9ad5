"""Durations of GEP-2257."""

from __future__ import annotations

from datetime import timedelta

import pytest

from flowkiln.api.durations import (
    DurationError,
    parse_duration,
    parse_seconds,
    parse_whole_seconds,
)


@pytest.mark.parametrize(
    ("text", "span"),
    [
        ("0s", timedelta(0)),
        ("90s", timedelta(seconds=90)),
        ("1h30m", timedelta(minutes=90)),
        ("30m1h", timedelta(minutes=90)),
        ("500ms", timedelta(milliseconds=500)),
        ("1s1s", timedelta(seconds=2)),
        ("99999h99999m99999s99999ms", timedelta(hours=99999, minutes=99999, seconds=99999, milliseconds=99999)),
    ],
)
def test_reads_what_the_gateway_api_writes(text: str, span: timedelta) -> None:
    """Every form that the pattern allows is read, in any order of units."""
    assert parse_duration(text) == span
    assert parse_seconds(text) == span.total_seconds()


@pytest.mark.parametrize(
    "text", ["", "5", "s", "-1s", "1.5s", "1d", "100000s", "1h2m3s4ms5s", " 1s", "1s\n", "1 s", "1S", "\u0661s"]
)
def test_refuses_everything_else_and_quotes_it(text: str) -> None:
    """What the pattern does not allow is refused with the text in the message."""
    with pytest.raises(DurationError, match="is no duration") as raised:
        parse_duration(text)
    assert repr(text) in str(raised.value)


def test_whole_seconds_have_no_rest() -> None:
    """1000ms is a second, 1500ms is refused."""
    assert parse_whole_seconds("1m1000ms") == 61
    with pytest.raises(DurationError, match="whole number of seconds"):
        parse_whole_seconds("1500ms")
