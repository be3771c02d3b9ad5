"""Exceptions of deadlines, raised inside the body and to its caller."""

from __future__ import annotations

GRACE = 1.0
"""Seconds after its deadline in which a body may end by itself, before StopBodyNow is raised."""


class DeadlineExceeded(TimeoutError):
    """The call did not end in time."""

    def __str__(self) -> str:
        return super().__str__() or "the deadline was exceeded"


class StopBody(DeadlineExceeded):
    """Raised inside a body at its deadline, so it cleans up and ends."""


class StopBodyNow(BaseException):
    """Raised inside a body that continues after StopBody; `except Exception` does not catch it."""


def is_stop(error: BaseException) -> bool:
    """Return whether an exception was raised inside a body by its deadline."""
    return isinstance(error, StopBody | StopBodyNow)
