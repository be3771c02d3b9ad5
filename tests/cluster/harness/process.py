"""Processes by identity, so that a reused process id is never mistaken for ours."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from .commands import wait_until
from .interface import HarnessError

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
        """Return whether it still runs; a zombie does not."""
        return _start_time(self.pid) == self.started

    def kill(self, *, seconds: float = 20) -> None:
        """End it at once and wait until it is gone."""
        if self.alive:
            os.kill(self.pid, signal.SIGKILL)
        wait_until(f"process {self.pid} ends", lambda: not self.alive, seconds=seconds, every=0.02)


class Spawner:
    """Starts background processes, and takes leave of those that have ended."""

    def __init__(self) -> None:
        self._started: list[subprocess.Popen[bytes]] = []

    def start(
        self, command: Sequence[str], log: Path, *, cwd: Path | None = None, pass_fds: Sequence[int] = ()
    ) -> subprocess.Popen[bytes]:
        """Start a command in a session of its own, so that Ctrl-C in a terminal does not reach it."""
        with log.open("ab") as output:
            process = subprocess.Popen(
                command,
                cwd=cwd,
                pass_fds=pass_fds,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        self._started.append(process)
        return process

    def first_child(self, process: subprocess.Popen[bytes], what: str, log: Path) -> Process:
        """Return the process that a started `nsenter` or `unshare` made; HarnessError when it ended instead."""
        wait_until(
            f"{what} starts", lambda: bool(children(process.pid)) or process.poll() is not None, seconds=10, every=0.01
        )
        if process.poll() is not None:
            raise HarnessError(f"{what} did not start: {log.read_text().strip()[-1000:]}")
        return Process.of(children(process.pid)[0])

    def reap(self) -> None:
        """Wait for every process that was started; they have been ended before."""
        for process in self._started:
            process.wait(timeout=20)
        self._started.clear()


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
