"""Deadlines outside the main thread, without alarms: an exception is set in the thread of the body.

Python raises it between two bytecodes. It does not stop a body that never returns to Python, because it sleeps or waits
for a lock. Then either the process is ended, or the body runs in a thread of its own that can be left behind.
"""

from __future__ import annotations

import contextvars
import logging
import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Protocol

from flowkiln.common.thread_exceptions import raise_in, take_back
from flowkiln.engine.bodies import registry
from flowkiln.engine.bodies.deadlines import GRACE, DeadlineExceeded, StopBody, StopBodyNow

STUCK_AFTER = 2 * GRACE
"""Seconds after the deadline when the process of a body that still runs is ended."""

POLL_INTERVAL = 0.2
"""Seconds between two polls, in which pending exceptions, such as an enclosing deadline, are raised."""

_ENGINE = frozenset({__file__, registry.__file__})

logger = logging.getLogger(__name__)


class ThreadSlot(Protocol):
    """The thread-local state of a thread that another thread borrows while it runs a body for it."""

    def take(self) -> None:
        """Move the state to the current thread, which is about to run the body."""

    def give_back(self) -> None:
        """Move the state back to the current thread, its owner."""

    def forget(self) -> None:
        """Discard the state that the current thread still has: its body was left behind and has now ended."""


class WatchedThread:
    """Run the body in the current thread while another thread watches the deadline.

    When the body cannot be stopped, `on_stuck` is called in the watching thread, with this thread's context. It ends
    the process.
    """

    def __init__(self, timeout: float, on_stuck: Callable[[], None]) -> None:
        self.fired = False
        self._timeout, self._on_stuck = timeout, on_stuck
        self._context = contextvars.copy_context()
        self._thread = threading.get_ident()
        self._lock = threading.Lock()
        self._over = threading.Event()

    def call(self, fn: Callable[..., Any], kwargs: Mapping[str, Any]) -> Any:
        """Call `fn(**kwargs)` in this thread."""
        try:
            try:
                threading.Thread(target=self._watch, name="flowkiln-deadline", daemon=True).start()
                return fn(**kwargs)
            finally:
                self._end()
        finally:
            # The stop may be raised inside the first `_end`.
            self._end()

    def _end(self) -> None:
        with self._lock:
            self._over.set()
            if self.fired:
                # A pending stop must not hit other code of this thread.
                take_back()

    def _watch(self) -> None:
        if self._over.wait(self._timeout):
            return
        stuck_at = time.monotonic() + STUCK_AFTER
        for stop in (StopBody, StopBodyNow):
            with self._lock:
                if self._over.is_set():
                    return
                self.fired = True
                raise_in(self._thread, stop)
            if self._over.wait(GRACE if stop is StopBody else stuck_at - time.monotonic()):
                return
        self._context.run(self._on_stuck)


class OwnThread:
    """Run the body in a new thread, which is left behind if it cannot be stopped.

    The body uses a copy of the caller's context, and its changes are copied back afterwards. `name` identifies the body
    in messages.
    """

    def __init__(self, timeout: float, name: str, slot: ThreadSlot | None) -> None:
        self.fired = False
        self._timeout, self._name, self._slot = timeout, name, slot
        self._context = contextvars.copy_context()
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._is_left = self._is_stopped = False
        self._value: Any = None
        self._error: BaseException | None = None

    def call(self, fn: Callable[..., Any], kwargs: Mapping[str, Any]) -> Any:
        """Call `fn(**kwargs)` in a new thread; raise DeadlineExceeded if the thread is left behind."""
        thread = threading.Thread(
            target=self._run, args=(fn, kwargs), name=f"flowkiln-body-of-{self._name}", daemon=True
        )
        thread.start()
        has_ended = False
        try:
            has_ended = self._wait(self._timeout) or self._stop(thread)
        finally:
            # Neither ended nor stopped: perhaps because an enclosing deadline is over.
            has_ended = has_ended or self._has_ended_or_is_left(thread)
            if self._slot is not None:
                self._slot.give_back()
        if not has_ended:
            # The thread keeps its pending exception, but the process-wide flag is cleared: see `take_back`.
            take_back()
            self._warn(thread)
            message = f"took longer than {self._timeout:g} s and cannot be stopped; its thread is left behind"
            raise DeadlineExceeded(message)
        for variable, value in self._context.items():
            if variable.get(None) is not value:
                variable.set(value)
        if self._error is not None:
            try:
                raise self._error
            finally:
                self._error = None  # break the reference cycle with this frame
        return self._value

    def _run(self, fn: Callable[..., Any], kwargs: Mapping[str, Any]) -> None:
        # A pending stop can be raised anywhere in here.
        with suppress(StopBody, StopBodyNow):
            self._run_body(fn, kwargs)
            self._end()
        self._end()

    def _run_body(self, fn: Callable[..., Any], kwargs: Mapping[str, Any]) -> None:
        try:
            if self._slot is not None:
                self._slot.take()
            self._value = self._context.run(fn, **kwargs)
        except BaseException as error:
            self._error = error

    def _end(self) -> None:
        with self._lock:
            self._over.set()
            if self._is_stopped:
                take_back()
            if self._is_left and self._slot is not None:
                self._slot.forget()

    def _wait(self, seconds: float) -> bool:
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            if self._over.wait(min(left, POLL_INTERVAL)):
                return True
        return self._over.is_set()

    def _stop(self, thread: threading.Thread) -> bool:
        self.fired = True
        self._raise_in_body(thread, StopBody)
        if self._wait(0.75 * GRACE):
            return True
        self._raise_in_body(thread, StopBodyNow)
        return self._wait(0.25 * GRACE)

    def _raise_in_body(self, thread: threading.Thread, stop: type[BaseException]) -> None:
        with self._lock:
            if not self._over.is_set() and thread.ident is not None:
                self._is_stopped = True
                raise_in(thread.ident, stop)

    def _has_ended_or_is_left(self, thread: threading.Thread) -> bool:
        self._raise_in_body(thread, StopBodyNow)
        with self._lock:
            self._is_left = not self._over.is_set()
            if self._is_left and thread.ident is not None:
                registry.forget(thread.ident)
        return not self._is_left

    def _warn(self, thread: threading.Thread) -> None:
        logger.warning(
            "The body of %s cannot be stopped at its deadline of %g s. Its thread %r is left behind%s; "
            "nothing waits for it.",
            self._name,
            self._timeout,
            thread.name,
            _position(thread),
        )


def _position(thread: threading.Thread) -> str:
    """Return the position of a thread: the innermost line in the file where the user's code starts."""
    frame = sys._current_frames().get(thread.ident or 0)
    stack = traceback.extract_stack(frame) if frame is not None else []
    engine = max((n for n, line in enumerate(stack) if line.filename in _ENGINE), default=-1)
    lines = [line for line in stack[engine + 1 :] if line.filename == stack[engine + 1].filename] or stack
    return f" at {lines[-1].filename}, line {lines[-1].lineno}, in {lines[-1].name}" if lines else ""
