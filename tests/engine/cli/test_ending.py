"""How a run that is ended leaves nothing behind: bodies, what they started, and what cleans up after them."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from tests.engine.loading.builders import flow_document, write_documents

from .builders import start

EXECUTORS = ["local", "sync", "threads", "dask"]

FLOW = """
import multiprocessing, os, subprocess, sys, time
from pathlib import Path
from flowkiln import Flow, Parameter, task
from flowkiln.tasks.core.command import CommandTask

HERE = Path(__file__).parent

def note(name, *pids):
    (HERE / "writing").write_text(" ".join(map(str, pids)))
    (HERE / "writing").rename(HERE / name)

def forever():
    time.sleep(600)

@task
def polls():
    '''Waits as most code does: in short pieces.'''
    try:
        note("up", os.getpid())
        while True:
            try:
                time.sleep(0.05)
            except Exception:
                pass
    finally:
        note("cleaned")

@task
def waits():
    '''Waits for a program that has one of its own.'''
    try:
        subprocess.run(["sh", "-c", f"sleep 600 & echo $! $$ > {HERE}/w && mv {HERE}/w {HERE}/up; wait"])
    finally:
        note("cleaned")

@task
def pool():
    '''Waits for processes of multiprocessing.'''
    try:
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            note("up", *(one.pid for one in pool._pool))
            pool.apply(forever)
    finally:
        note("cleaned")

@task
def lingers():
    '''Does not end when it is told to.'''
    note("up", os.getpid(), subprocess.Popen(["sleep", "600"]).pid)
    while True:
        try:
            time.sleep(0.05)
        except BaseException:
            pass

@task
def leaves():
    '''Ends, and leaves two processes behind: one whose parent is gone, one that ignores SIGTERM.'''
    orphan = int(subprocess.check_output(["sh", "-c", "sleep 600 > /dev/null 2>&1 & echo $!"]))
    source = "import signal, time; signal.signal(15, signal.SIG_IGN); print(flush=True); time.sleep(600)"
    deaf = subprocess.Popen([sys.executable, "-c", source], start_new_session=True, stdout=subprocess.PIPE)
    deaf.stdout.readline()
    note("up", orphan, deaf.pid)

command = CommandTask(f"sleep 600 & echo $! $$ > {HERE}/w && mv {HERE}/w {HERE}/up; wait", name="command")
flows = {}
for body in (polls, waits, pool, lingers, leaves, command):
    with Flow(body.name) as flow:
        body()
    globals()[body.name + "_flow"] = flow
del flow
"""


def wait_for(condition: Callable[[], object], what: str) -> None:
    """Wait until something is true."""
    deadline = time.monotonic() + 240
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


def is_alive(pid: int) -> bool:
    """Whether a process runs."""
    with suppress(psutil.NoSuchProcess):
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    return False


class Run:
    """`flowkiln run` of one of the flows, whose body is at work; with all processes below it."""

    def __init__(self, folder: Path, body: str, executor: str) -> None:
        self.folder = folder
        (folder / "kiln_ending.py").write_text(FLOW)
        self.program = start("run", f"{folder}/kiln_ending.py:{body}_flow", "--executor", executor, "--workers", "1")
        wait_for(lambda: (folder / "up").exists() or self.program.poll() is not None, "the body did not start")
        assert (folder / "up").exists(), self.program.communicate()
        self.pids = {int(pid) for pid in (folder / "up").read_text().split()}
        with suppress(psutil.NoSuchProcess):
            self.pids |= {child.pid for child in psutil.Process(self.program.pid).children(recursive=True)}

    @property
    def is_cleaned(self) -> bool:
        """Whether the `finally` block of the body has run."""
        return (self.folder / "cleaned").exists()

    def end(self, number: signal.Signals) -> str:
        """Send a signal, and give what was printed at the end."""
        self.program.send_signal(number)
        return self.wait()

    def wait(self) -> str:
        """Wait for the end of the program, and of all others."""
        output, errors = self.program.communicate(timeout=240)
        for pid in self.pids:
            wait_for(lambda pid=pid: not is_alive(pid), f"process {pid} is still there")
        return output + errors


@pytest.fixture
def begin(tmp_path: Path) -> Iterator[Callable[..., Run]]:
    """Starts a run, and ends what a failed test leaves."""
    runs: list[Run] = []

    def make(body: str, executor: str) -> Run:
        runs.append(Run(tmp_path, body, executor))
        return runs[-1]

    yield make
    for run in runs:
        run.program.kill()
        for pid in filter(is_alive, run.pids):
            os.kill(pid, signal.SIGKILL)
        run.program.communicate(timeout=240)


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize("body", ["polls", "waits", "pool", "command"])
def test_ctrl_c(begin: Callable[..., Run], body: str, executor: str) -> None:
    """A run is Cancelled, the `finally` block of its body runs, and no process stays.

    Python wakes a lock, which a Pool waits for, in the main thread only.
    """
    run = begin(body, executor)
    assert f"{body}: Cancelled" in run.end(signal.SIGINT)
    assert run.program.returncode == 130
    assert run.is_cleaned or body == "command" or (body == "pool" and executor in ("threads", "dask"))


@pytest.mark.parametrize("executor", EXECUTORS)
def test_sigterm(begin: Callable[..., Run], executor: str) -> None:
    """It ends a run as Ctrl-C does."""
    run = begin("waits", executor)
    assert "waits: Cancelled" in run.end(signal.SIGTERM)
    assert (run.program.returncode, run.is_cleaned) == (130, True)


@pytest.mark.parametrize("executor", EXECUTORS)
def test_what_a_body_leaves_behind(begin: Callable[..., Run], executor: str) -> None:
    """It ends with the run, which is a success: orphans, and what ignores SIGTERM."""
    run = begin("leaves", executor)
    assert "leaves: Success" in run.wait()
    assert run.program.returncode == 0


@pytest.mark.parametrize("executor", ["local", "sync"])
def test_a_second_ctrl_c(begin: Callable[..., Run], executor: str) -> None:
    """The program ends at once, with a line that says so, and takes everything with it."""
    run = begin("lingers", executor)
    run.program.send_signal(signal.SIGINT)
    assert run.program.stderr is not None
    said = ""
    while "Ctrl-C again" not in said:
        line = run.program.stderr.readline()
        assert line, "the program ended too early"
        said += line
    said = run.end(signal.SIGINT)
    assert "Interrupted again: running tasks were killed" in said
    assert run.program.returncode == 130


def test_a_program_that_is_killed(begin: Callable[..., Run]) -> None:
    """Its worker processes notice, and end."""
    run = begin("polls", "dask")
    run.end(signal.SIGKILL)


@pytest.mark.parametrize("executor", EXECUTORS)
def test_the_timeout_of_a_flow(tmp_path: Path, executor: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It ends the programs of command tasks and bodies on every executor, as a failure that says why."""
    monkeypatch.setenv("HERE", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    content = (
        "import os, subprocess\nfrom pathlib import Path\n"
        "def wait(): subprocess.run(['sh', '-c', 'echo $$ > $HERE/up-function; sleep 600'])\n"
    )
    source = {"files": [{"path": "kiln_waiting.py", "content": content}]}
    tasks: list[dict[str, object]] = [
        {"name": "command", "command": ["sh", "-c", "echo $$ > $HERE/up-command; sleep 600"]},
        {"name": "function", "function": "kiln_waiting:wait"},
    ]
    # Worker processes have to start first, on a machine that may be busy.
    timeout = "15s" if executor == "dask" else "4s"
    file = write_documents(tmp_path / "f.yaml", flow_document("x", source=source, tasks=tasks, timeout=timeout))
    program = start("run", file, "--executor", executor, "--workers", "2")
    _, errors = program.communicate(timeout=240)
    assert (program.returncode, "longer than its timeout" in errors) == (1, True)
    pids = [int(path.read_text()) for path in tmp_path.glob("up-*")]
    assert len(pids) == (2 if executor in ("threads", "dask") else 1)
    for pid in pids:
        wait_for(lambda pid=pid: not is_alive(pid), "the program is still there")  # type: ignore[misc]
    wait_for(lambda: not list(tmp_path.glob("flowkiln-*")), "the folder of the run is still there")


def test_the_programs_of_tests_end() -> None:
    """What this file checks by: a process that ended is not alive, though nobody asked for its exit code."""
    program = subprocess.Popen(["true"])
    wait_for(lambda: not is_alive(program.pid), "true did not end")
    program.wait()
