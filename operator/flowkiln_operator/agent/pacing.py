"""Intervals of status writes, and delays of retries, as pure functions."""

from __future__ import annotations

import random

MIN_INTERVAL = 1.1
"""Minimum seconds between the starts of two writes: one second, plus the variation of the network latency."""
GATHER = 0.5
"""Seconds between the first change after a quiet time and its write, so a short task needs one write."""
MAX_INTERVAL = 30.0
"""Maximum seconds between two due writes while the API server answers."""
COST_SHARE = 20.0
"""The ratio of the interval to the duration of a write: a write of 0.1 s is followed by 2 s without writes."""
BYTES_PER_SECOND = 64 * 1024
"""Bytes written per second on average, because etcd keeps every version for minutes."""

_BASE_DELAY = 0.25
_MAX_DELAY = 10.0
_RETRIED = frozenset({408, 409, 429, 500, 502, 503, 504})


def interval_after(seconds: float, size: int) -> float:
    """Return the seconds from the start of a write to the next one, from the cost of the write."""
    return min(MAX_INTERVAL, max(MIN_INTERVAL, seconds * COST_SHARE, size / BYTES_PER_SECOND))


def is_retried(code: int | None) -> bool:
    """Return whether the same request may succeed later; `code` is None if there was no response."""
    return code is None or code in _RETRIED


def retry_delay(failures: int, retry_after: float | None = None, *, jitter: float = 0.0) -> float:
    """Return the seconds to wait after `failures` failures in a row (1 or more), with `jitter` from 0 to 1.

    A longer Retry-After of the server is respected, up to a minute.
    """
    delay = min(_MAX_DELAY, _BASE_DELAY * 2.0 ** min(failures - 1, 16)) * (1.0 + jitter / 2)
    return max(delay, min(retry_after or 0.0, 60.0))


def random_jitter() -> float:
    """Return a random jitter for `retry_delay`."""
    return random.random()  # noqa: S311 - spreads retries, protects nothing
