"""Processes by identity, so that a reused process id is never mistaken for ours."""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass
from pathlib import Path

from .commands import wait_until

START_TIME_FIELD = 19  # of /proc/PID/stat, counted after the command's closing parenthesis: field 22 of proc(5)


@dataclass(frozen=True)
class Process:
    """A process of this host: its id and its start time in clock ticks since boot."""

    pid: int
    started: int

    @classmethod
    def of(cls, pid: int) -> Process:
        """Identify a running process. ProcessLookupError when there is none."""
        started = _start_time(pid)
        if started is None:
            raise ProcessLookupError(pid)
        return cls(pid, started)

    @property
    def alive(self) -> bool:
        """Whether it still runs; a zombie does not."""
        return _start_time(self.pid) == self.started

    def kill(self, *, seconds: float = 20) -> None:
        """End it at once and wait until it is gone."""
        if self.alive:
            os.kill(self.pid, signal.SIGKILL)
        wait_until(f"process {self.pid} ends", lambda: not self.alive, seconds=seconds, every=0.02)


def children(pid: int) -> list[int]:
    """Return the ids of a process's children."""
    found: list[int] = []
    for file in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            found += [int(child) for child in file.read_text().split()]
        except (FileNotFoundError, ProcessLookupError):
            continue
    return found


def _start_time(pid: int) -> int | None:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] in "ZX" else int(fields[START_TIME_FIELD])
