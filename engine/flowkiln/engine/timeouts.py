"""A hard deadline for a call, in whatever thread it runs.

In the main thread an alarm ends the call, also inside a blocking system call. In any other thread an exception is
set from outside, which Python raises between two bytecodes; a body that never returns to Python (a C call) is then
stopped only with its process.

A body that catches the exception and goes on is stopped again every `AGAIN` seconds, and whatever it returns or raises
after its deadline, but for signals, counts as exceeded.
"""

from __future__ import annotations

import contextvars
import ctypes
import signal
import threading
import time
from collections.abc import Callable, Mapping
from types import FrameType
from typing import Any, Protocol

from flowkiln.engine.signals import ENDRUN, StateSignal

AGAIN = 5.0
"""Seconds after which a body that goes on after its deadline is stopped once more."""

GRACE = 2.0
"""Seconds after the deadline in which a call may still end by itself, before it counts as stuck."""


class DeadlineExceeded(TimeoutError):
    """The call did not end in time."""

    def __str__(self) -> str:
        return super().__str__() or "the deadline was exceeded"


def call_with_deadline(
    fn: Callable[..., Any],
    timeout: float | None,
    kwargs: Mapping[str, Any],
    on_stuck: Callable[[], None] | None = None,
) -> Any:
    """Call `fn(**kwargs)`; raise DeadlineExceeded when it takes longer than `timeout` seconds (None: no limit).

    `on_stuck` is called, in another thread and with this one's context, when the call cannot be stopped.
    """
    if timeout is None:
        return fn(**kwargs)
    bell: _Bell = (
        _Alarm(timeout) if threading.current_thread() is threading.main_thread() else _OtherThread(timeout, on_stuck)
    )
    message = f"took longer than {timeout:g} s"
    try:
        value = _call_under(bell, fn, kwargs)
    except DeadlineExceeded as error:
        error.args = error.args or (message,)
        raise
    except (StateSignal, ENDRUN):
        raise
    except Exception as error:
        if bell.rang:
            raise DeadlineExceeded(message) from error
        raise
    if bell.rang:
        raise DeadlineExceeded(message)
    return value


def call_in_time(fn: Callable[..., Any], *args: Any, timeout: float | None = None, **kwargs: Any) -> Any:
    """Call `fn(*args, **kwargs)`; raise TimeoutError when it takes longer than `timeout` seconds."""
    return call_with_deadline(lambda: fn(*args, **kwargs), timeout, {})


class _Bell(Protocol):
    """Raises DeadlineExceeded in the thread that made it, from `start` on until `end`."""

    rang: bool

    def start(self) -> None: ...

    def end(self) -> None: ...


def _call_under(bell: _Bell, fn: Callable[..., Any], kwargs: Mapping[str, Any]) -> Any:
    try:
        try:
            bell.start()
            return fn(**kwargs)
        finally:
            bell.end()
    finally:
        # It may ring inside the first `end`; then this one puts everything back.
        bell.end()


class _Alarm:
    """The process's one alarm clock. Somebody else's alarm that is due earlier still reaches them."""

    def __init__(self, timeout: float) -> None:
        self.rang = False
        self._deadline = time.monotonic() + timeout
        self._others_due: float | None = None
        self._others_interval = 0.0
        self._others_handler: Any = None
        self._armed = self._ended = False

    def start(self) -> None:
        delay, self._others_interval = signal.getitimer(signal.ITIMER_REAL)
        self._others_due = time.monotonic() + delay if delay else None
        self._others_handler = signal.signal(signal.SIGALRM, self._ring)
        self._armed = True
        self._arm()

    def end(self) -> None:
        self._ended = True
        if not self._armed:
            return
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, self._others_handler or signal.SIG_DFL)
        if self._others_due is not None:
            left = max(self._others_due - time.monotonic(), 1e-6)
            signal.setitimer(signal.ITIMER_REAL, left, self._others_interval)
        self._armed = False

    def _arm(self) -> None:
        due = self._deadline
        if self._others_due is not None and callable(self._others_handler):
            due = min(due, self._others_due)
        signal.setitimer(signal.ITIMER_REAL, max(due - time.monotonic(), 1e-6))

    def _ring(self, signal_number: int, frame: FrameType | None) -> None:
        if self._ended:
            return
        now = time.monotonic()
        if self._others_due is not None and self._others_due <= now and callable(self._others_handler):
            self._others_due = now + self._others_interval if self._others_interval else None
            self._arm()
            self._others_handler(signal_number, frame)
        elif self._deadline <= now:
            self.rang = True
            self._deadline = now + AGAIN
            self._arm()
            raise DeadlineExceeded
        else:
            self._arm()


class _OtherThread:
    """A thread that waits for the deadline and then sets an exception in the one that made it."""

    def __init__(self, timeout: float, on_stuck: Callable[[], None] | None) -> None:
        self.rang = False
        self._timeout = timeout
        self._on_stuck = on_stuck
        self._context = contextvars.copy_context()
        self._caller = ctypes.c_ulong(threading.get_ident())
        self._set_exception = ctypes.pythonapi.PyThreadState_SetAsyncExc
        self._lock = threading.Lock()
        self._over = threading.Event()

    def start(self) -> None:
        threading.Thread(target=self._watch, name="flowkiln-deadline", daemon=True).start()

    def end(self) -> None:
        with self._lock:
            self._over.set()
            # An exception that was set in the last moment must not hit whatever this thread does next.
            self._set_exception(self._caller, None)

    def _watch(self) -> None:
        wait = self._timeout
        stuck_at = time.monotonic() + self._timeout + GRACE
        while not self._over.wait(wait):
            with self._lock:
                if not self._over.is_set():
                    self.rang = True
                    self._set_exception(self._caller, ctypes.py_object(DeadlineExceeded))
            wait = AGAIN if self._on_stuck is None else GRACE
            if self._on_stuck is not None and time.monotonic() >= stuck_at:
                self._context.run(self._on_stuck)
                return
