from __future__ import annotations

import random
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowkiln import Task
from flowkiln.core.retries import MAX_DELAY, retry_delay

SECOND = timedelta(seconds=1)


def delays(n: int, **arguments: Any) -> list[float]:
    """Give the delays in seconds after attempts 1 to n."""
    task = Task(max_retries=n, **arguments)
    return [retry_delay(task, run_count, random.random).total_seconds() for run_count in range(1, n + 1)]


class TestRetryDelay:
    @pytest.mark.parametrize(
        ("arguments", "expected"),
        [
            ({"retry_delay": 2 * SECOND}, [2, 2, 2, 2]),
            ({"retry_delay": [SECOND, 3 * SECOND]}, [1, 3, 3, 3]),
            ({"retry_delay": lambda n: n * n * SECOND}, [1, 4, 9, 16]),
            ({"retry_delay": 2 * SECOND, "retry_backoff": 3}, [2, 6, 18, 54]),
            ({"retry_delay": 2 * SECOND, "retry_backoff": 3, "retry_max_delay": 10 * SECOND}, [2, 6, 10, 10]),
            ({"retry_delay": timedelta(0), "retry_backoff": 3}, [0, 0, 0, 0]),
        ],
    )
    def test_without_jitter(self, arguments: dict[str, Any], expected: list[float]) -> None:
        """min(max, d·b^(n-1)), for each kind of d."""
        assert delays(4, **arguments) == expected

    def test_no_delay_is_none(self) -> None:
        """A task whose retries were set on a copy has no delay, and does not wait."""
        assert retry_delay(Task().copy(max_retries=1), 1, random.random) == timedelta(0)

    @pytest.mark.parametrize(("drawn", "expected"), [(0.0, 5), (0.5, 10), (1.0, 15)])
    def test_jitter_goes_either_way(self, drawn: float, expected: float) -> None:
        """The delay is changed by at most the fraction, after the bound was applied."""
        task = Task(retry_delay=20 * SECOND, retry_max_delay=10 * SECOND, retry_jitter=0.5)
        assert retry_delay(task, 1, lambda: drawn) == expected * SECOND

    @given(
        st.floats(1, 1e6), st.floats(0, 1), st.integers(1, 10_000), st.timedeltas(timedelta(0), timedelta(days=10_000))
    )
    def test_always_a_delay_that_a_date_can_bear(self, backoff: float, jitter: float, n: int, base: timedelta) -> None:
        """However many attempts, the delay stays between zero and twice the longest."""
        task = Task(retry_delay=base, retry_backoff=backoff, retry_jitter=jitter)
        assert timedelta(0) <= retry_delay(task, n, random.random) <= 2 * MAX_DELAY
