"""How long to wait before the next attempt of a task run."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flowkiln.core.task import Task

# Longer than any run; what is more would leave the range of dates.
MAX_DELAY = timedelta(days=36_525)


def retry_delay(task: Task, run_count: int, random: Callable[[], float]) -> timedelta:
    """Give the delay after attempt number `run_count` (from 1) of `task`: min(max, d·b^(n-1)) · (1 ± j).

    d is `task.retry_delay` (of a list the entry for this attempt, the last one repeating; of a callable its answer to
    `run_count`; None counts as zero), b `retry_backoff`, max `retry_max_delay`, j `retry_jitter`. `random` gives
    numbers from 0 to 1, as `random.random` does.
    """
    backoff = 1.0 if task.retry_backoff is None else task.retry_backoff
    longest = MAX_DELAY if task.retry_max_delay is None else min(MAX_DELAY, task.retry_max_delay)
    seconds = _base(task, run_count).total_seconds()
    if seconds > 0:
        try:
            seconds = min(longest.total_seconds(), seconds * backoff ** (run_count - 1))
        except OverflowError:
            seconds = longest.total_seconds()
    if task.retry_jitter:
        seconds *= 1 + task.retry_jitter * (2 * random() - 1)
    return timedelta(seconds=seconds)


def _base(task: Task, run_count: int) -> timedelta:
    delay = task.retry_delay
    if delay is None:
        return timedelta(0)
    if isinstance(delay, timedelta):
        return delay
    if callable(delay):
        return delay(run_count)
    return delay[min(run_count, len(delay)) - 1]
