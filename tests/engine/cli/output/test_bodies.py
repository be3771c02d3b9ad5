"""What bodies write and log, through `flowkiln run` as a program, on every executor."""

from __future__ import annotations

import json
import re
import subprocess
import threading
from pathlib import Path

import pytest

from tests.engine.cli.builders import PROGRAM

EXECUTORS = ["local", "sync", "threads", "dask"]

HEAD = """
import datetime, logging, os, subprocess, sys, threading, time, warnings
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import Process
from pathlib import Path
from flowkiln import Flow, get_run_logger, task
from flowkiln.utilities.logging import get_logger

log = get_run_logger()
"""

SPEAKING = (
    HEAD
    + """
print("of the module")

class Unspeakable:
    def __repr__(self):
        raise RuntimeError("no text")

def in_process():
    print("of a process")

@task
def speak():
    print("printed")
    print("to stderr", file=sys.stderr)
    log.info("logged")
    print("one", end=" ")
    print("line")
    sys.stdout.buffer.write(b"bytes\\n")
    os.write(1, b"to the descriptor\\n")
    subprocess.run(["sh", "-c", "echo of a program; echo its error >&2"])
    os.system("echo of the shell")
    thread = threading.Thread(target=lambda: print("of a thread"))
    thread.start()
    thread.join()
    with ThreadPoolExecutor() as pool:
        pool.submit(log.warning, "of a pool").result()
    process = Process(target=in_process)
    process.start()
    process.join()
    warnings.warn("of warnings")
    logging.getLogger("mine").error("of another logger")
    for percent in (10, 50, 100):
        print(f"\\r{percent} %", end="", flush=True)
    return "done"

@task
def log_badly():
    log.info("%s of %s", 1)
    log.info("%r", Unspeakable())
    log.info("day", extra={"day": datetime.date(2020, 1, 1), "path": Path("x"), "lock": threading.Lock(), "name": 1})
    log.info("found %s", os.fsdecode(b"caf\\xe9"))
    print("found", os.fsdecode(b"caf\\xe9"))
    log.info("y" * 1_000_000)
    print("z" * 100_000)
    return "done"

@task(max_retries=1, retry_delay=datetime.timedelta(0))
def retry():
    print("tried")
    if not os.path.exists(os.environ["KILN_TRIED"]):
        Path(os.environ["KILN_TRIED"]).touch()
        raise ValueError("once")

with Flow("kiln") as flow:
    retry(upstream_tasks=[log_badly(upstream_tasks=[speak()])])
"""
)

SPOKEN = [
    "Running",
    "| printed",
    "| to stderr",
    "| logged",
    "| one line",
    "| bytes",
    "| to the descriptor",
    "| of a program",
    "| its error",
    "| of the shell",
    "| of a thread",
    "| WARNING of a pool",
    "| of a process",
    "| UserWarning: of warnings",
    '|   warnings.warn("of warnings")',
    "| of another logger",
    "| 100 %",
    "Success",
]
LOGGED_BADLY = [
    "Running",
    "| --- Logging error ---",
    "| --- Logging error ---",
    "| day",
    "| found caf\\udce9",
    "| found caf\\udce9",
    "| yyy",
    *["| zzz"] * 7,
    "Success",
]
TRIED = ["Running", "| tried", "Failed", "Retrying", "Running, attempt 2", "| tried", "Success"]


def run(file: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Run a flow as a user does."""
    return subprocess.run(
        [*PROGRAM, "run", str(file), *options],
        capture_output=True,
        text=True,
        errors="strict",
        check=False,
        timeout=400,
    )


def of_task(name: str, log: str) -> list[str]:
    """The lines of a task, and its states, without times, places and most of long texts."""
    found = re.findall(rf"^\d\d:\d\d:\d\d {re.escape(name)}:? (.*)$", log, re.MULTILINE)
    lines = (re.sub(r"/\S+:\d+: |, again.*|(?<=Retrying).*|(?<=Failed).*", "", line) for line in found)
    return [line[:5] if line[2:4] in ("yy", "zz") else line for line in lines]


@pytest.fixture
def speaking(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A flow that says much."""
    monkeypatch.setenv("KILN_TRIED", str(tmp_path / "tried"))
    path = tmp_path / "kiln_speaking.py"
    path.write_text(SPEAKING)
    return path


@pytest.mark.parametrize("executor", EXECUTORS)
def test_everything_is_a_line_of_the_log(speaking: Path, executor: str) -> None:
    """All that bodies write and log is there, in order, between beginning and end of its task.

    A log call never fails its body. Standard output is the outcome, and nothing else.
    """
    ended = run(speaking, "--executor", executor, "--json")
    outcome = json.loads(ended.stdout)
    assert (ended.returncode, outcome["state"]) == (0, "Success"), ended.stderr
    # A process that a worker starts imports the module again.
    assert [line for line in of_task("speak", ended.stderr) if line != "| of the module"] == SPOKEN
    assert of_task("log-badly", ended.stderr) == LOGGED_BADLY
    assert of_task("retry", ended.stderr) == TRIED
    assert "TypeError: not enough arguments for format string\nMessage: '%s of %s'" in ended.stderr
    assert "RuntimeError: no text" in ended.stderr
    assert "of the module" in ended.stderr


def test_quiet(speaking: Path) -> None:
    """Nothing of it is shown with --quiet."""
    ended = run(speaking, "--executor", "local", "--quiet")
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "of the module\n")


CROWD = (
    HEAD
    + """
@task
def shout(number):
    for n in range(200):
        print(number, n)
        if n == 100:
            os.write(1, b"raw\\n")
            log.info("%s logs", number)

with Flow("crowd") as flow:
    shout.map([0, 1, 2, 3])
"""
)


@pytest.mark.parametrize("executor", EXECUTORS)
def test_bodies_at_the_same_time(tmp_path: Path, executor: str) -> None:
    """Lines are whole and have the right names; no raw output has a wrong one, whoever wrote it."""
    path = tmp_path / "kiln_crowd.py"
    path.write_text(CROWD)
    ended = run(path, "--executor", executor, "--json", "--workers", "2")
    assert json.loads(ended.stdout)["state"] == "Success"
    for child in range(4):
        own = [line for line in of_task(f"shout[{child}]", ended.stderr) if line != "| raw"]
        expected = [f"| {child} {n}" for n in range(200)]
        expected.insert(101, f"| {child} logs")
        assert own == expected
    origins = re.findall(r"(\S+) \| raw$", ended.stderr, re.MULTILINE)
    possible = {f"shout[{child}]" for child in range(4)}
    assert len(origins) == 4
    assert set(origins) <= (possible | {"crowd"} if executor == "threads" else possible)


LAST_WORDS = (
    HEAD
    + """
@task
def die():
    print("last words")
    os.system("echo of the shell")
    os._exit(3)

with Flow("last") as flow:
    die()
"""
)


def test_last_words(tmp_path: Path) -> None:
    """What a body wrote before it ends its process is not lost, whatever name stands before it."""
    path = tmp_path / "kiln_last.py"
    path.write_text(LAST_WORDS)
    ended = run(path, "--executor", "dask", "--json", "--workers", "1")
    assert json.loads(ended.stdout)["state"] == "Failed"
    printed, raw = (ended.stderr.count(f" | {text}\n") for text in ("last words", "of the shell"))
    assert printed == raw > 0


FLOOD = (
    HEAD
    + """
@task
def flood():
    for n in range(100_000):
        log.info("line %s", n)

with Flow("flood") as flow:
    flood()
"""
)


@pytest.mark.parametrize("executor", ["local", "dask"])
def test_a_flood(tmp_path: Path, executor: str) -> None:
    """A body that logs without pause is slowed down, not failed, and nothing is lost."""
    path = tmp_path / "kiln_flood.py"
    path.write_text(FLOOD)
    ended = run(path, "--executor", executor, "--json", "--workers", "1")
    assert json.loads(ended.stdout)["state"] == "Success"
    assert of_task("flood", ended.stderr)[1:-1] == [f"| line {n}" for n in range(100_000)]


LINGERING = (
    HEAD
    + """
def go_on():
    while True:
        print("still here")
        time.sleep(0.001)

@task
def leave():
    threading.Thread(target=go_on, daemon=True).start()
    return "done"

with Flow("lingering") as flow:
    leave()
"""
)


def test_a_thread_that_goes_on(tmp_path: Path) -> None:
    """What a thread of a body writes after the end of the run is in nobody's JSON."""
    path = tmp_path / "kiln_lingering.py"
    path.write_text(LINGERING)
    ended = run(path, "--executor", "local", "--json")
    assert json.loads(ended.stdout)["results"] == {"leave": "done"}
    assert "leave | still here" in ended.stderr


ASKING = (
    HEAD
    + """
@task
def ask():
    return input("Name? ")

with Flow("asking") as flow:
    ask()
"""
)


def test_input(tmp_path: Path) -> None:
    """A body in the program's own process reads the program's standard input; its prompt is shown before it reads."""
    path = tmp_path / "kiln_asking.py"
    path.write_text(ASKING)
    with subprocess.Popen(
        [*PROGRAM, "run", str(path), "--executor", "local", "--json"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as program:
        assert program.stdin is not None
        assert program.stderr is not None
        watchdog = threading.Timer(60, program.kill)
        watchdog.start()
        shown = ""
        for line in program.stderr:
            shown += line
            if "Name?" in line:
                print("Ada", file=program.stdin, flush=True)
        assert program.stdout is not None
        outcome = program.stdout.read()
        watchdog.cancel()
    assert json.loads(outcome)["results"] == {"ask": "Ada"}
    assert of_task("ask", shown) == ["Running", "| Name? ", "Success"]
