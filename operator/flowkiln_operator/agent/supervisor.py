"""PID 1 of the agent's container: keep the engine process alive.

The container must not exit while the pod lives (Kubernetes would back off, up to minutes), so this process restarts the
engine itself. It imports very little, so little can break it.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from types import FrameType

ENGINE = (sys.executable, "-m", "flowkiln_operator.agent.engine_process")
STABLE_AFTER = 60.0
"""Seconds of life after which a death does not count as consecutive."""
MAX_DELAY = 30.0
GRACE = 4.0
"""Seconds for the engine process to end by itself; the pod's grace period is five."""
_TICK = 0.2


def restart_delay(deaths_in_a_row: int) -> float:
    """Return the seconds before the engine is restarted: none after the first death, then 1, 2, 4 … 30."""
    return 0.0 if deaths_in_a_row <= 1 else min(MAX_DELAY, 2.0 ** (deaths_in_a_row - 2))


def describe_exit(code: int) -> str:
    """Return how a process ended, for people."""
    if code >= 0:
        return f"exit code {code}"
    with contextlib.suppress(ValueError):
        return f"signal {signal.Signals(-code).name}"
    return f"signal {-code}"


class Supervisor:
    """Restart one command until stopped."""

    def __init__(self, command: Sequence[str] = ENGINE, *, grace: float = GRACE) -> None:
        self._command = list(command)
        self._grace = grace
        self._stop_signal: int | None = None
        self._child: subprocess.Popen[bytes] | None = None

    def run(self) -> int:
        """Supervise until SIGTERM or SIGINT; returns this process' exit code."""
        signal.signal(signal.SIGTERM, self._on_stop)
        signal.signal(signal.SIGINT, self._on_stop)
        signal.signal(signal.SIGALRM, self._on_overdue)
        restarts = deaths = 0
        last_exit = ""
        while self._stop_signal is None:
            started = time.monotonic()
            code = self._run_once(restarts, last_exit)
            if self._stop_signal is not None:
                break
            deaths = 1 if time.monotonic() - started >= STABLE_AFTER else deaths + 1
            restarts += 1
            last_exit = describe_exit(code)
            delay = restart_delay(deaths)
            _say(f"the engine process ended with {last_exit}; starting it again in {delay:.0f} s")
            self._sleep(delay)
        return 0

    def _run_once(self, restarts: int, last_exit: str) -> int:
        """Run the engine process once; it gets the number of restarts and the last exit."""
        environment = {
            **os.environ,
            "FLOWKILN_ENGINE_RESTARTS": str(restarts),
            "FLOWKILN_ENGINE_LAST_EXIT": last_exit,
        }
        child = self._child = subprocess.Popen(self._command, env=environment, start_new_session=True)
        if self._stop_signal is not None:
            # The signal came before there was a child to forward it to.
            self._on_stop(self._stop_signal, None)
        code = child.returncode = _wait_for(child.pid)
        self._child = None
        # Processes of user code in the engine's session must not continue.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(child.pid, signal.SIGKILL)
        return code

    def _sleep(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while self._stop_signal is None and time.monotonic() < until:
            time.sleep(0.2)

    def _on_stop(self, number: int, _frame: FrameType | None) -> None:
        self._stop_signal = number
        if self._child is not None:
            self._child.send_signal(number)
            signal.setitimer(signal.ITIMER_REAL, self._grace)

    def _on_overdue(self, _number: int, _frame: FrameType | None) -> None:
        if self._child is not None:
            self._child.kill()


def _wait_for(pid: int) -> int:
    """Wait until the process ends and return its exit code. Reap all others, because PID 1 adopts orphans."""
    while True:
        ended, status = os.waitpid(-1, 0)
        if ended == pid:
            return os.waitstatus_to_exitcode(status)


def _say(message: str) -> None:
    """Write one JSON line to standard output, like the engine process; `message` needs no escaping."""
    stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    line = f'{{"time": "{stamp}", "level": "WARNING", "logger": "flowkiln.supervisor", "message": "{message}"}}\n'
    os.write(1, line.encode())
