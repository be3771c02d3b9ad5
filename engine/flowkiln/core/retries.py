"""Retries of a task run: the options of a task, and the delay before the next attempt."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any, Protocol

RetryDelay = timedelta | Sequence[timedelta] | Callable[[int], timedelta]
RetryOn = type[BaseException] | Sequence[type[BaseException]] | Callable[[BaseException], bool]


class RetryOptions(Protocol):
    """The attributes of a task that decide when and how often it is retried; see `Task`."""

    max_retries: int
    retry_delay: RetryDelay | None
    retry_backoff: float | None
    retry_max_delay: timedelta | None
    retry_jitter: float | None
    retry_on: RetryOn | None


# Longer than any run; a longer delay could leave the range of dates.
MAX_DELAY = timedelta(days=36_525)


def retry_delay(task: RetryOptions, run_count: int, random: Callable[[], float]) -> timedelta:
    """Return the delay after attempt number `run_count` (from 1) of `task`: min(max, d·b^(n-1)) · (1 ± j).

    d is `task.retry_delay` (for a list the entry of this attempt, repeating the last one; for a callable its result for
    `run_count`; None counts as zero), b `retry_backoff`, max `retry_max_delay`, j `retry_jitter`. `random` returns
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


def _base(task: RetryOptions, run_count: int) -> timedelta:
    delay = task.retry_delay
    if delay is None:
        return timedelta(0)
    if isinstance(delay, timedelta):
        return delay
    if callable(delay):
        return delay(run_count)
    return delay[min(run_count, len(delay)) - 1]


def configured_delay(value: Any) -> Any:
    """Return the default of `retry_delay` from the configuration: a timedelta or a number of seconds."""
    return timedelta(seconds=value) if isinstance(value, int | float) else value


def check_retries(task: RetryOptions) -> None:
    """Check the retry attributes of a task against each other.

    Raises:
        TypeError, ValueError: one is invalid; the message names it.
    """
    _check_delay(task.retry_delay)
    _check_max_retries(task.max_retries)
    if task.max_retries > 0 and task.retry_delay is None:
        raise ValueError(
            f"max_retries is {task.max_retries}, so retry_delay must be given (timedelta(0) to retry at once)."
        )
    if task.retry_backoff is not None and not task.retry_backoff >= 1:
        raise ValueError(f"retry_backoff is a factor of 1 or more, not {task.retry_backoff!r}.")
    if task.retry_jitter is not None and not 0 <= task.retry_jitter <= 1:
        raise ValueError(f"retry_jitter is a fraction from 0 to 1, not {task.retry_jitter!r}.")
    longest = task.retry_max_delay
    if longest is not None and not isinstance(longest, timedelta):
        raise TypeError(f"retry_max_delay must be a timedelta, not {longest!r}.")
    if longest is not None and longest < timedelta(0):
        raise ValueError(f"retry_max_delay cannot be negative: {longest}.")
    _check_retry_on(task.retry_on)


def _check_max_retries(number: Any) -> None:
    try:
        fits = number >= 0
    except TypeError:
        raise TypeError(f"max_retries must be a whole number, not {number!r}.") from None
    if not fits:
        raise ValueError(f"max_retries must be 0 or more, not {number!r}.")


def _check_delay(delay: RetryDelay | None) -> None:
    if delay is None or (callable(delay) and not isinstance(delay, type)):
        return
    delays = [delay] if isinstance(delay, timedelta) else delay
    if not isinstance(delays, list | tuple) or not all(isinstance(each, timedelta) for each in delays):
        raise TypeError(f"retry_delay must be a timedelta, a list of them, or a callable, not {delay!r}.")
    if not delays:
        raise ValueError("retry_delay is an empty list; give at least one delay.")
    if any(each < timedelta(0) for each in delays):
        raise ValueError(f"retry_delay cannot be negative: {delay!r}.")


def _check_retry_on(retry_on: Any) -> None:
    if retry_on is None or (callable(retry_on) and not isinstance(retry_on, type)):
        return
    classes = retry_on if isinstance(retry_on, list | tuple) else [retry_on]
    if not classes or not all(isinstance(each, type) and issubclass(each, BaseException) for each in classes):
        raise TypeError(
            f"retry_on must be exception classes, or a callable that takes the exception, not {retry_on!r}."
        )
