"""Find and end the descendants of this process."""

from __future__ import annotations

import ctypes
import os
import sys
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import psutil

_POLL_INTERVAL = 0.02
_KILLED_WITHIN = 1.0
_ROUNDS = 5
"""Maximum number of rounds to find processes that were started in the meantime."""

_SET_CHILD_SUBREAPER, _GET_CHILD_SUBREAPER = 36, 37
"""From linux/prctl.h."""


def descendants(spared: Collection[int] = ()) -> list[psutil.Process]:
    """Return the living descendants of this process.

    Those in `spared`, by id, and their descendants are omitted, and so is multiprocessing's resource tracker, which
    ends by itself.
    """
    if not _has_children():
        return []
    import psutil

    left_out = {*spared, _resource_tracker()}
    found: list[psutil.Process] = []
    below = [psutil.Process()]
    children: dict[int, list[psutil.Process]] = {}
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            children.setdefault(process.ppid(), []).append(process)
    while below:
        for child in children.get(below.pop().pid, ()):
            if child.pid not in left_out:
                below.append(child)
                found.append(child)
    return [process for process in found if _is_alive(process)]


def end_descendants(grace_period: float, spared: Collection[int] = ()) -> None:
    """End the descendants: with SIGTERM, and after `grace_period` seconds with SIGKILL."""
    found = descendants(spared)
    _signal(found, "terminate")
    _wait(found, grace_period)
    for _ in range(_ROUNDS):
        found = descendants(spared)
        if not found:
            return
        _signal(found, "kill")
        _wait(found, _KILLED_WITHIN)


def kill_descendants(spared: Collection[int] = ()) -> None:
    """Kill the descendants without waiting, for a process that ends immediately afterwards."""
    _signal(descendants(spared), "kill")


def _has_children() -> bool:
    """Return whether there is a child, running or not; finding all descendants is slow."""
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return True


def _resource_tracker() -> int | None:
    module = sys.modules.get("multiprocessing.resource_tracker")
    return getattr(getattr(module, "_resource_tracker", None), "_pid", None)


def _signal(processes: Sequence[psutil.Process], how: str) -> None:
    import psutil

    for process in processes:
        with suppress(psutil.Error):
            getattr(process, how)()


def _wait(processes: Sequence[psutil.Process], seconds: float) -> None:
    """Wait without reaping the exit codes, which belong to the starter of the processes."""
    deadline = time.monotonic() + seconds
    while any(map(_is_alive, processes)) and time.monotonic() < deadline:
        time.sleep(_POLL_INTERVAL)


def _is_alive(process: psutil.Process) -> bool:
    import psutil

    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return False


@contextmanager
def adopting_orphans() -> Iterator[None]:
    """Adopt orphaned descendants as children of this process inside the block (on Linux), so `descendants` still finds
    them.
    """
    before = _adopts_orphans()
    adopt_orphans()
    try:
        yield
    finally:
        if not before:
            _prctl(_SET_CHILD_SUBREAPER, 0)


def adopt_orphans() -> None:
    """Adopt orphaned descendants as children of this process until it ends (on Linux)."""
    _prctl(_SET_CHILD_SUBREAPER, 1)


def _adopts_orphans() -> bool:
    answer = ctypes.c_int(0)
    _prctl(_GET_CHILD_SUBREAPER, ctypes.addressof(answer))
    return bool(answer.value)


def _prctl(option: int, argument: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(option, ctypes.c_ulong(argument), 0, 0, 0)
