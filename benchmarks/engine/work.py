"""The task bodies of the cases, importable by worker processes, and the count of handler calls there."""

from __future__ import annotations

import time
from collections import Counter
from typing import Any

import numpy as np

import flowkiln
from flowkiln.engine.state import State

MEGABYTE = 131_072
"""Doubles in one megabyte."""

_calls: Counter[tuple[str, str]] = Counter()


def count_transition(task: Any, old: State, new: State) -> None:
    """State handler: counts the transitions that it is called for, in the process where that happens."""
    _calls[type(old).__name__, type(new).__name__] += 1


def take_counts() -> dict[tuple[str, str], int]:
    """Return the counts of this process and start anew."""
    counts = dict(_calls)
    _calls.clear()
    return counts


class PlantedFailure(Exception):
    """Raised once, in the middle of a case."""


def numbers(n: int) -> list[int]:
    """Make the elements of a map."""
    return list(range(n))


def increment(x: int) -> int:
    """Return a tiny task."""
    return x + 1


def double(x: int) -> int:
    """Another tiny task."""
    return 2 * x


def nap(x: int) -> int:
    """Return a task of 50 ms."""
    time.sleep(0.05)
    return x


def one() -> int:
    """Return a task without inputs."""
    return 1


def total(xs: list[int]) -> int:
    """Reduce numbers."""
    return sum(xs)


def fill(x: int) -> np.ndarray:
    """Make an array of 1 MB."""
    return np.full(MEGABYTE, float(x))


def raise_by_one(values: np.ndarray) -> np.ndarray:
    """Make another array of 1 MB."""
    return values + 1


def four_of(x: int) -> list[int]:
    """Make elements of an element."""
    return [x] * 4


def add_count(x: int, xs: list[int]) -> int:
    """Use an element, and a whole list without looking at each of its elements."""
    return x + len(xs)


def total_of_arrays(arrays: list[np.ndarray]) -> float:
    """Reduce arrays."""
    return float(sum(values[0] for values in arrays))


def add2(a: int, b: int) -> int:
    """Return a task with two parents."""
    return a + b


def add3(a: int, b: int, c: int) -> int:
    """Return a task with three parents."""
    return a + b + c


class FailsOnce:
    """A body that fails in its first attempt where it is told to: always, or in one child of a map."""

    def __init__(self, body: Any, index: int | None = None) -> None:
        self.body, self.index = body, index
        self.__name__ = body.__name__
        self.__wrapped__ = body

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Fail if planted here, else do the work."""
        context = flowkiln.context
        if context.get("task_run_count") == 1 and (self.index is None or context.get("map_index") == self.index):
            raise PlantedFailure
        return self.body(*args, **kwargs)
