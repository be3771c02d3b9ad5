"""The supervisor with real processes."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Protocol

import pytest

from flowkiln_operator.agent.supervisor import describe_exit, restart_delay

LIMIT = 240.0


class Supervise(Protocol):
    """How tests start a supervisor."""

    def __call__(self, child: str, *, grace: float = LIMIT, pause: float | None = None) -> subprocess.Popen[str]:
        """Start a supervisor over a child that is a few lines of Python; `pause` is its own choice, or in seconds."""


@pytest.fixture
def supervise(tmp_path: Path) -> Iterator[Supervise]:
    """Return a function that starts a supervisor process, and end those processes that a failed test left."""
    with ExitStack() as held:

        def start(child: str, *, grace: float = LIMIT, pause: float | None = None) -> subprocess.Popen[str]:
            (tmp_path / "child.py").write_text(child)
            pauses = "" if pause is None else f"supervisor.restart_delay = lambda deaths: {pause}; "
            code = (
                f"import sys; from flowkiln_operator.agent import supervisor; {pauses}"
                f"sys.exit(supervisor.Supervisor([sys.executable, 'child.py'], grace={grace}).run())"
            )
            command = [sys.executable, "-c", code]
            process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True)
            held.callback(end, process)
            return process

        yield start


def end(process: subprocess.Popen[str]) -> None:
    """End a supervisor, if it still runs, and close its output."""
    with process:
        process.terminate()
        try:
            process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            process.kill()


def wait_for(condition: Callable[[], bool]) -> None:
    """Wait until it holds."""
    until = time.monotonic() + LIMIT
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.02)


def stop(process: subprocess.Popen[str]) -> str:
    """End the supervisor as Kubernetes does; its output."""
    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=LIMIT)
    assert process.returncode == 0
    return output


LOG_START = """
import os, signal, sys, time
with open("starts", "a") as log:
    log.write(os.environ["FLOWKILN_ENGINE_RESTARTS"] + " " + os.environ["FLOWKILN_ENGINE_LAST_EXIT"] + "\\n")
starts = len(open("starts").readlines())
"""


def lines(path: Path) -> list[str]:
    """The lines of a file that may not be there yet."""
    return path.read_text().splitlines() if path.exists() else []


@pytest.mark.parametrize(
    ("death", "said"),
    [
        ("os._exit(3)", "exit code 3"),
        ("os._exit(0)", "exit code 0"),
        ("os.kill(os.getpid(), signal.SIGKILL)", "signal SIGKILL"),
    ],
)
def test_a_dead_engine_is_started_again(death: str, said: str, tmp_path: Path, supervise: Supervise) -> None:
    """However the engine process ends, a new one starts and learns how often and why."""
    process = supervise(LOG_START + f"if starts == 1: {death}\nopen('up', 'w').close()\ntime.sleep(600)\n")
    wait_for((tmp_path / "up").exists)
    output = stop(process)
    assert lines(tmp_path / "starts") == ["0 ", f"1 {said}"]
    assert said in output


def test_a_signal_is_passed_on_and_waited_for(tmp_path: Path, supervise: Supervise) -> None:
    """The engine gets SIGTERM itself and time to end; then the supervisor goes too, without starting another."""
    child = """
def on_term(number, frame):
    time.sleep(0.2)
    open("ended", "w").close()
    os._exit(7)
signal.signal(signal.SIGTERM, on_term)
open("up", "w").close()
time.sleep(600)
"""
    process = supervise(LOG_START + child)
    wait_for((tmp_path / "up").exists)
    stop(process)
    assert (tmp_path / "ended").exists()
    assert len(lines(tmp_path / "starts")) == 1


def test_an_engine_that_does_not_listen_is_killed(tmp_path: Path, supervise: Supervise) -> None:
    """User code cannot hold the pod beyond its grace period."""
    child = "signal.signal(signal.SIGTERM, signal.SIG_IGN)\nopen('up', 'w').close()\ntime.sleep(600)\n"
    process = supervise(LOG_START + child, grace=0.3)
    wait_for((tmp_path / "up").exists)
    stop(process)


def test_what_the_engine_left_behind_goes_with_it(tmp_path: Path, supervise: Supervise) -> None:
    """Processes of user code do not outlive the engine process that they belonged to."""
    child = """
import subprocess
if starts == 1:
    orphan = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    open("orphan.tmp", "w").write(str(orphan.pid))
    os.rename("orphan.tmp", "orphan")
    os._exit(1)
open("up", "w").close()
time.sleep(600)
"""
    process = supervise(LOG_START + child)
    wait_for((tmp_path / "up").exists)
    orphan = int((tmp_path / "orphan").read_text())

    def is_gone() -> bool:
        try:
            return Path(f"/proc/{orphan}/stat").read_text().split()[2] == "Z"
        except OSError:
            return True

    wait_for(is_gone)
    stop(process)


def test_a_signal_during_the_pause_ends_it(tmp_path: Path, supervise: Supervise) -> None:
    """The pause before the next start does not delay the end, however long it is, and nothing starts after it."""
    process = supervise(LOG_START + "os._exit(1)\n", pause=100 * LIMIT)
    assert process.stdout is not None
    assert f"starting it again in {100 * LIMIT:.0f} s" in process.stdout.readline()
    stop(process)
    assert len(lines(tmp_path / "starts")) == 1


def test_pauses_are_bounded() -> None:
    """At once after the first death, then longer and longer up to half a minute."""
    assert [restart_delay(n) for n in range(1, 9)] == [0, 1, 2, 4, 8, 16, 30, 30]


def test_exits_have_names() -> None:
    """People read signals by name; numbers without one stay numbers."""
    assert describe_exit(1) == "exit code 1"
    assert describe_exit(-signal.SIGSEGV) == "signal SIGSEGV"
    assert describe_exit(-200) == "signal 200"


def test_the_supervisor_imports_next_to_nothing() -> None:
    """What PID 1 does not import can neither break it nor cost memory in every run's pod."""
    code = "import sys, flowkiln_operator.agent.supervisor; print('\\n'.join(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    for heavy in ("flowkiln", "distributed", "pydantic", "tornado", "asyncio", "logging", "json"):
        assert heavy not in loaded
