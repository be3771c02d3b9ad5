"""Deadlines in the main thread, by the process's alarm timer (SIGALRM).

An alarm also interrupts blocking system calls. A body that catches the first exception is stopped again with one that
`except Exception` does not catch. If the body catches that too, further stops follow within microseconds, with varying
delays, until one hits outside the `try` block or inside the handler.
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
"""Seconds between two stops of a body that continues."""

MAX_SPACED_STOPS = 10
"""Stops that a body may catch before the next ones come within microseconds."""

SWEEP = 100
"""Different delays, in steps of `STEP` seconds, between those."""

STEP = 2e-6
AT_ONCE = 1e-6


class Alarm:
    """Raise StopBody, then StopBodyNow inside a call. A previously set alarm that is due earlier still fires."""

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
        """Return whether the deadline passed during the call."""
        return self._stops > 0 or self._is_late

    def call(self, fn: Callable[..., Any], kwargs: Mapping[str, Any]) -> Any:
        """Call `fn(**kwargs)`; restore the previous handler and timer afterwards."""
        self._save_previous()
        self._previous_handler = signal.signal(signal.SIGALRM, self._ring)
        self._arm()
        try:
            return _body(self, fn, kwargs)
        finally:
            self._is_over = True
            # The body may have set its own alarm, which replaces this one.
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
            # The previous handler sees its own timer, and may set it again.
            signal.setitimer(signal.ITIMER_REAL, self._previous_interval, self._previous_interval)
            try:
                self._previous_handler(number, frame)
            finally:
                self._save_previous()
                self._arm()
        elif self._deadline > now:
            self._arm()
        elif not _is_in_body(self, frame):
            # The engine's own code must not be interrupted.
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
    """Call the body and do nothing else: an alarm can fire between any two steps."""
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
