"""Raise exceptions in other threads: Python raises them between two bytecodes."""

from __future__ import annotations

import ctypes
import threading


def raise_in(thread: int, error: type[BaseException]) -> None:
    """Raise an exception in a thread as soon as it runs Python code. It replaces a pending one."""
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), ctypes.py_object(error))


class _TakenBack(BaseException):
    pass


def take_back() -> None:
    """Cancel the pending exception of the current thread.

    Python's own way, setting no exception, leaves a flag in the process that Python 3.11 never clears: debuggers,
    profilers and tracers then hang. So a harmless exception is set and raised here.
    """
    try:
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(threading.get_ident()), ctypes.py_object(_TakenBack))
        while True:
            pass
    except _TakenBack:
        return
