"""A hard deadline for a call, in whatever thread it runs.

In the main thread an alarm ends the call, also inside a blocking system call. In any other thread an exception is
set from outside, which Python raises between two bytecodes; a body that never returns to Python (a C call) is then
stopped only with its process.
"""

from __future__ import annotations

import ctypes
import signal
import threading
import time
from collections.abc import Callable, Mapping
from types import FrameType
from typing import Any


class DeadlineExceeded(TimeoutError):
    """The call did not end in time."""

    def __str__(self) -> str:
        return super().__str__() or "the deadline was exceeded"


def call_with_deadline(fn: Callable[..., Any], timeout: float | None, kwargs: Mapping[str, Any]) -> Any:
    """Call `fn(**kwargs)`; raise DeadlineExceeded when it takes longer than `timeout` seconds (None: no limit)."""
    if timeout is None:
        return fn(**kwargs)
    if threading.current_thread() is threading.main_thread():
        return _with_alarm(fn, timeout, kwargs)
    return _with_async_exception(fn, timeout, kwargs)


def _with_alarm(fn: Callable[..., Any], timeout: float, kwargs: Mapping[str, Any]) -> Any:
    def ring(_signum: int, _frame: FrameType | None) -> None:
        raise DeadlineExceeded(f"took longer than {timeout:g} s")

    started = time.monotonic()
    others_handler = signal.signal(signal.SIGALRM, ring)
    others_delay, others_interval = signal.setitimer(signal.ITIMER_REAL, timeout)
    try:
        return fn(**kwargs)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, others_handler)
        if others_delay:
            left = others_delay - (time.monotonic() - started)
            signal.setitimer(signal.ITIMER_REAL, max(left, 1e-6), others_interval)


def _with_async_exception(fn: Callable[..., Any], timeout: float, kwargs: Mapping[str, Any]) -> Any:
    thread_id = ctypes.c_ulong(threading.get_ident())
    set_exception = ctypes.pythonapi.PyThreadState_SetAsyncExc
    lock = threading.Lock()
    ended = False

    def ring() -> None:
        with lock:
            if not ended:
                set_exception(thread_id, ctypes.py_object(DeadlineExceeded))

    timer = threading.Timer(timeout, ring)
    timer.daemon = True
    timer.start()
    try:
        return fn(**kwargs)
    finally:
        with lock:
            ended = True
            # An exception that was set in the last moment must not hit whatever this thread does next.
            set_exception(thread_id, None)
        timer.cancel()
