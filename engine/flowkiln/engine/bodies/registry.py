"""The running bodies of this process, and their interruption when their run is over.

A body is interrupted by an exception that is raised inside it, so its `finally` blocks run. Python interrupts a
blocking call only in the main thread; in other threads the exception is raised when the call returns.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any, NoReturn

from flowkiln.common.context import current_content
from flowkiln.common.thread_exceptions import raise_in, take_back

_WAKE = signal.SIGURG
"""The signal that wakes the main thread. It is rarely used, and ignored by default."""

_POLL_INTERVAL = 0.02

RUNS_REMEMBERED = 1024
"""Maximum number of finished runs to remember. A worker process may serve runs for months."""


class BodyInterrupted(BaseException):
    """Raised inside a body when its run ends before the body. `except Exception` does not catch it."""


class _Body:
    """A running body. `outer` is the body that started the run of this one, in the same thread."""

    __slots__ = ("_facts", "is_told", "outer")

    def __init__(self, facts: Mapping[str, Any], outer: _Body | None) -> None:
        self._facts, self.outer, self.is_told = facts, outer, False

    @property
    def run_id(self) -> str | None:
        return self._facts.get("run_id")

    @property
    def name(self) -> str:
        return str(self._facts.get("task_full_name", ""))

    def chain(self) -> Iterator[_Body]:
        body: _Body | None = self
        while body is not None:
            yield body
            body = body.outer


_bodies: dict[int, _Body] = {}
_over: dict[str, None] = {}
_lock = threading.Lock()


def call_body(run: Callable[..., Any], /, **inputs: Any) -> Any:
    """Call a body of the run in the context. Processes that it forks end here.

    Raise BodyInterrupted when the run is over, and the exceptions of the body.
    """
    thread = threading.get_ident()
    body = _Body(current_content(), _bodies.get(thread))
    try:
        try:
            _bodies[thread] = body
            if _over and body.run_id in _over:
                raise BodyInterrupted
            return _call_in_one_process(run, inputs)
        finally:
            _leave(thread, body)
    finally:
        if _bodies.get(thread) is body:
            # The exception was raised inside the first `_leave`.
            _leave(thread, body)


def forget(thread: int) -> None:
    """Remove the body of a thread that is left behind; nothing waits for it."""
    with _lock:
        _bodies.pop(thread, None)


def _leave(thread: int, body: _Body) -> None:
    with _lock:
        if _bodies.get(thread) is not body:
            return
        if body.outer is None:
            del _bodies[thread]
            if body.is_told:
                # The exception must not hit other code of this thread.
                take_back()
        else:
            _bodies[thread] = body.outer
            body.outer.is_told = body.is_told


BOOKKEEPING = frozenset({call_body.__code__, _leave.__code__, take_back.__code__})
"""Code that runs as part of a body but must not be interrupted."""


def is_over(run_id: str | None) -> bool:
    """Return whether the bodies of a run were interrupted."""
    return run_id in _over


def running(run_id: str | None = None) -> dict[int, str]:
    """Return the names of the bodies that run in this process, by thread: those of one run, or all."""
    return {
        thread: body.name
        for thread, body in list(_bodies.items())
        if run_id is None or any(one.run_id == run_id for one in body.chain())
    }


def interrupt(run_id: str | None = None) -> None:
    """Interrupt the bodies of a run, or of all runs; no further body of the run starts in this process."""
    with _lock:
        if run_id is not None:
            _note_over(run_id)
        for thread in running(run_id):
            body = _bodies[thread]
            if run_id is None:
                for one in body.chain():
                    if one.run_id is not None:
                        _note_over(one.run_id)
            body.is_told = True
            _raise_in(thread)


def _note_over(run_id: str) -> None:
    _over.pop(run_id, None)
    _over[run_id] = None
    while len(_over) > RUNS_REMEMBERED:
        del _over[next(iter(_over))]


def _raise_in(thread: int) -> None:
    main = threading.main_thread().ident
    if thread == main and signal.getsignal(_WAKE) is _on_wake:
        signal.pthread_kill(thread, _WAKE)
    else:
        raise_in(thread, BodyInterrupted)


def unstopped() -> list[str]:
    """Return the names of the bodies that still run in this process although their runs are over."""
    return [body.name for body in list(_bodies.values()) if any(one.run_id in _over for one in body.chain())]


def wait_until_ended(seconds: float, run_id: str | None = None) -> bool:
    """Wait for the bodies of a run, or all; return False if some still run after that time."""
    deadline = time.monotonic() + seconds
    while running(run_id):
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL_INTERVAL)
    return True


@contextmanager
def waking_main_thread() -> Iterator[None]:
    """Interrupt bodies in blocking calls of the main thread too, inside the block. Main thread only.

    Only for Flowkiln's own programs, because it uses the signal SIGURG.
    """
    before = signal.signal(_WAKE, _on_wake)
    try:
        yield
    finally:
        signal.signal(_WAKE, before)


def _on_wake(number: int, frame: FrameType | None) -> None:
    body = _bodies.get(threading.get_ident())
    if body is not None and body.is_told:
        body.is_told = False
        raise BodyInterrupted


def _call_in_one_process(run: Callable[..., Any], inputs: dict[str, Any]) -> Any:
    process = os.getpid()
    try:
        value = run(**inputs)
    except BaseException as error:
        if os.getpid() != process:
            _end_forked(error)
        raise
    if os.getpid() != process:
        _end_forked(None)
    return value


def _end_forked(error: BaseException | None) -> NoReturn:
    """End a forked process that has left the body, as Python ends a program; it must not continue the flow."""
    code = 0
    try:
        if isinstance(error, SystemExit):
            code = error.code if isinstance(error.code, int) else int(error.code is not None)
            if error.code is not None and not isinstance(error.code, int):
                print(error.code, file=sys.stderr)  # noqa: T201  as Python does
        elif error is not None:
            code = 1
            traceback.print_exception(error)
        _flush()
    finally:
        os._exit(code & 0xFF)


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        with suppress(Exception):
            stream.flush()


# Both processes would write buffered output from before the fork.
os.register_at_fork(before=_flush)
