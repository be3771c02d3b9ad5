"""How often to write status, and when to try again: functions of what was seen, nothing else."""

from __future__ import annotations

import random

MIN_INTERVAL = 1.1
"""Seconds between the starts of two writes, at least: a second, and what the way to the API server varies."""
GATHER = 0.5
"""Seconds between the first news after some quiet and their write: a short task starts and ends in one write then."""
MAX_INTERVAL = 30.0
"""Seconds between two writes that were both due, at most, while the API server answers."""
COST_SHARE = 20.0
"""A write may take one part in so many of the time: one that took 0.1 s is followed by 2 s of quiet."""
BYTES_PER_SECOND = 64 * 1024
"""Each second of quiet pays for so many bytes, since etcd keeps every version for minutes."""

_BASE_DELAY = 0.25
_MAX_DELAY = 10.0
_RETRIED = frozenset({408, 409, 429, 500, 502, 503, 504})


def interval_after(seconds: float, size: int) -> float:
    """Seconds from the start of a write to the start of the next one, by what that write cost."""
    return min(MAX_INTERVAL, max(MIN_INTERVAL, seconds * COST_SHARE, size / BYTES_PER_SECOND))


def is_retried(code: int | None) -> bool:
    """Whether the same request may do better later; `code` None stands for no answer at all."""
    return code is None or code in _RETRIED


def retry_delay(failures: int, retry_after: float | None = None, *, jitter: float = 0.0) -> float:
    """Seconds to wait after so many failures in a row (1 or more); `jitter` from 0 to 1 spreads the herd.

    What the server asked for in Retry-After holds if it is longer, up to a minute.
    """
    delay = min(_MAX_DELAY, _BASE_DELAY * 2.0 ** min(failures - 1, 16)) * (1.0 + jitter / 2)
    return max(delay, min(retry_after or 0.0, 60.0))


def random_jitter() -> float:
    """A random jitter for `retry_delay`."""
    return random.random()  # noqa: S311 - spreads retries, protects nothing
