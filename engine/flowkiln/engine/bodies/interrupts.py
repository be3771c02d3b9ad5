"""Distinguish Ctrl-C from a KeyboardInterrupt that a body raises itself.

Ctrl-C ends the program; a KeyboardInterrupt of a body fails its task. Python raises the same class for both, so the
handler of SIGINT marks the exception that it raises.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_MARK = "_raised_by_sigint"


def _interrupt(number: int, frame: FrameType | None) -> None:
    # The class itself, not a subclass: Python derives the exit code of the program from it.
    interrupt = KeyboardInterrupt()
    setattr(interrupt, _MARK, True)
    raise interrupt


@contextmanager
def marked_interrupts() -> Iterator[None]:
    """Mark the exceptions that Ctrl-C raises inside the block.

    Only Python's own handler is replaced, and only in the main thread: other handlers belong to the program.
    """
    if (
        threading.current_thread() is not threading.main_thread()
        or signal.getsignal(signal.SIGINT) is not signal.default_int_handler
    ):
        yield
        return
    signal.signal(signal.SIGINT, _interrupt)
    try:
        yield
    finally:
        if signal.getsignal(signal.SIGINT) is _interrupt:
            signal.signal(signal.SIGINT, signal.default_int_handler)


def is_interrupt(error: BaseException) -> bool:
    """Return whether an exception is a Ctrl-C, or was raised while one was handled."""
    seen: set[int] = set()
    link: BaseException | None = error
    while link is not None and id(link) not in seen:
        if getattr(link, _MARK, False):
            return True
        seen.add(id(link))
        link = link.__context__
    return False
