"""Work, counted before it is done."""

from __future__ import annotations

MAX_STEPS = 200_000
"""Steps for all schemas, defaults and values of one run together. A step stands for about a quarter of a microsecond,
so all of them for 50 ms."""


class TooManyStepsError(Exception):
    """The work would take more steps than are left."""


class Steps:
    """A budget of steps that several checks share."""

    __slots__ = ("limit", "taken")

    def __init__(self, limit: int = MAX_STEPS) -> None:
        self.limit = limit
        self.taken = 0

    def take(self, count: int = 1) -> None:
        """Count work that comes next; raise TooManyStepsError when it does not fit."""
        self.taken += count
        if self.taken > self.limit:
            raise TooManyStepsError
