"""Exceptions that one thread sets in another: Python raises them there between two bytecodes."""

from __future__ import annotations

import ctypes
import threading


def raise_in(thread: int, error: type[BaseException]) -> None:
    """Have a thread raise an exception as soon as it runs Python code. It replaces one that was not raised yet."""
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), ctypes.py_object(error))


class _TakenBack(BaseException):
    pass


def take_back() -> None:
    """Take back what was set in the current thread and not raised yet.

    Python's own way, to set no exception, leaves a mark in the whole process that Python 3.11 does not take away:
    debuggers, profilers and tracers hang from then on. So a harmless one is set, and raised here.
    """
    try:
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(threading.get_ident()), ctypes.py_object(_TakenBack))
        while True:
            pass
    except _TakenBack:
        return
