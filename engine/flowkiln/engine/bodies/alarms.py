"""Deadlines in the main thread, by the process's one alarm clock.

An alarm ends a call also inside a blocking system call. A body that catches what it raises is stopped again, with what
`except Exception` does not catch. For one that catches that too the next stop comes within microseconds, a little later
each time: until one hits outside of the `try`, or in the handler itself.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Mapping
from types import FrameType
from typing import Any

from flowkiln.engine.bodies.deadlines import GRACE, StopBody, StopBodyNow
from flowkiln.engine.bodies.registry import BOOKKEEPING

STOP_INTERVAL = 0.1
"""Seconds between two stops of a body that goes on."""

MAX_SPACED_STOPS = 10
"""Stops that a body may catch before the next ones come within microseconds."""

SWEEP = 100
"""Different delays, in steps of `STEP` seconds, between those."""

STEP = 2e-6
AT_ONCE = 1e-6


class Alarm:
    """Raises StopBody, then StopBodyNow inside a call. Somebody else's alarm that is due earlier still reaches them."""

    def __init__(self, timeout: float) -> None:
        self._timeout_at = self._deadline = time.monotonic() + timeout
        self._is_late = False
        self._stops = self._rings = 0
        self._is_over = False
        self._previous_due: float | None = None
        self._previous_interval = 0.0
        self._previous_handler: Any = None

    @property
    def fired(self) -> bool:
        """Whether the deadline was over while the call went on."""
        return self._stops > 0 or self._is_late

    def call(self, fn: Callable[..., Any], kwargs: Mapping[str, Any]) -> Any:
        """Call `fn(**kwargs)`; what was set before, handler and timer, is there again afterwards."""
        self._save_previous()
        self._previous_handler = signal.signal(signal.SIGALRM, self._ring)
        self._arm()
        try:
            return _body(self, fn, kwargs)
        finally:
            self._is_over = True
            # The body may have set an alarm of its own, which takes the place of this one.
            self._is_late = time.monotonic() >= self._timeout_at
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, self._previous_handler or signal.SIG_DFL)
            if self._previous_due is not None:
                left = max(self._previous_due - time.monotonic(), AT_ONCE)
                signal.setitimer(signal.ITIMER_REAL, left, self._previous_interval)

    def _save_previous(self) -> None:
        delay, self._previous_interval = signal.getitimer(signal.ITIMER_REAL)
        self._previous_due = time.monotonic() + delay if delay else None

    def _arm(self) -> None:
        due = self._deadline
        if self._previous_due is not None and callable(self._previous_handler):
            due = min(due, self._previous_due)
        signal.setitimer(signal.ITIMER_REAL, max(due - time.monotonic(), AT_ONCE))

    def _ring(self, number: int, frame: FrameType | None) -> None:
        if self._is_over:
            return
        now = time.monotonic()
        if self._previous_due is not None and self._previous_due <= now and callable(self._previous_handler):
            # They find the timer as if it was theirs, and may set it anew.
            signal.setitimer(signal.ITIMER_REAL, self._previous_interval, self._previous_interval)
            try:
                self._previous_handler(number, frame)
            finally:
                self._save_previous()
                self._arm()
        elif self._deadline > now:
            self._arm()
        elif not _is_in_body(self, frame):
            # Nothing of ours may be torn apart.
            self._rearm(now)
        else:
            self._stops += 1
            if self._stops == 1:
                self._deadline = now + GRACE
                self._arm()
                raise StopBody
            self._rearm(now)
            raise StopBodyNow

    def _rearm(self, now: float) -> None:
        self._rings += 1
        self._deadline = now + (STOP_INTERVAL if self._stops <= MAX_SPACED_STOPS else STEP * (1 + self._rings % SWEEP))
        self._arm()


def _body(alarm: Alarm, fn: Callable[..., Any], kwargs: Mapping[str, Any]) -> Any:
    """Call the body. Nothing else is done here: an alarm may ring before and after each step."""
    return fn(**kwargs)


def _is_in_body(alarm: Alarm, frame: FrameType | None) -> bool:
    code = None if frame is None else frame.f_code
    if code is not None and code is not _body.__code__ and (code in BOOKKEEPING or code.co_filename == __file__):
        return False
    while frame is not None:
        if frame.f_code is _body.__code__ and frame.f_locals.get("alarm") is alarm:
            return True
        frame = frame.f_back
    return False
