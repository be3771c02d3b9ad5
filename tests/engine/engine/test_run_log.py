"""What `python flow.py` logs."""

from __future__ import annotations

import logging
import re
import subprocess
import sys
from pathlib import Path

import pytest

from flowkiln import Flow, task
from flowkiln.engine.executors import Executor
from flowkiln.engine.flow_runner import FlowRunner

FLOW = """
import datetime as dt, logging, sys
from flowkiln import Flow, get_run_logger, task
from flowkiln.schedules import OneTimeSchedule

@task
def numbers():
    get_run_logger().info("three numbers")
    return [0, 1, 2]

@task
def invert(number):
    return 1 / number

@task(max_retries=1, retry_delay=dt.timedelta(0))
def fail():
    raise KeyError("no")

@task
def after(failed):
    print("printed")

with Flow("kiln") as flow:
    invert.map(numbers())
    after(fail())
"""

TOLD = """\
INFO FlowRunner | Flow 'kiln': starting the flow run.
INFO TaskRunner | Task 'numbers': starting the task run.
INFO run.numbers | three numbers
INFO TaskRunner | Task 'numbers': the task run ended as Success.
INFO TaskRunner | Task 'invert': mapped over 3 elements.
ERROR TaskRunner | Task 'invert[0]': the task run ended as Failed: Unexpected error: ZeroDivisionError(...)
INFO TaskRunner | Task 'fail': starting the task run.
ERROR TaskRunner | Task 'fail': the task run ended as Failed: Unexpected error: KeyError('no')
WARNING TaskRunner | Task 'fail': Retrying, again in 0 s: ...
INFO TaskRunner | Task 'fail': starting the task run, attempt 2.
ERROR TaskRunner | Task 'fail': the task run ended as Failed: Unexpected error: KeyError('no')
WARNING TaskRunner | Task 'after': TriggerFailed: ...
ERROR FlowRunner | Flow 'kiln': the flow run ended as Failed: Some reference tasks failed.
"""


def run(tmp_path: Path, source: str) -> list[str]:
    """The log lines of a program, without times and details."""
    path = tmp_path / "kiln_plain.py"
    path.write_text(source)
    ended = subprocess.run([sys.executable, str(path)], capture_output=True, text=True, check=True)
    lines = re.findall(r"^(?:\S+ \S+ )?([A-Z]+) +flowkiln\.(.*)$", ended.stderr, re.MULTILINE)
    return [
        re.sub(r"(ZeroDivisionError)\(.*|(again in 0 s: |TriggerFailed: ).*", _shortened, f"{level} {text}")
        for level, text in lines
    ]


def _shortened(found: re.Match[str]) -> str:
    return f"{found[1]}(...)" if found[1] else f"{found[2]}..."


class TestProgram:
    def test_a_run(self, tmp_path: Path) -> None:
        """A program that sets up no logging tells on standard error what happens, and why something failed."""
        assert sorted(run(tmp_path, FLOW + "flow.run()\n")) == sorted(TOLD.splitlines())

    def test_who_logs(self, tmp_path: Path) -> None:
        """A line of a body names its task run, mapped children by their index."""
        source = FLOW.replace("return 1 /", "get_run_logger().info('inverting'); return 1 /")
        lines = run(tmp_path, source + "flow.run()\n")
        assert [line for line in lines if "inverting" in line] == [
            f"INFO run.invert[{n}] | inverting" for n in range(3)
        ]

    def test_tracebacks(self, tmp_path: Path) -> None:
        """A failure comes with the line that raised."""
        path = tmp_path / "kiln_plain.py"
        path.write_text(FLOW + "flow.run()\n")
        ended = subprocess.run([sys.executable, str(path)], capture_output=True, text=True, check=True)
        assert f'File "{path}", line 13, in invert\n    return 1 / number\n' in ended.stderr
        assert ended.stdout == ""

    @pytest.mark.parametrize(
        ("level", "expected"), [("ERROR", {"ERROR"}), ("WARNING", {"ERROR", "WARNING"}), ("CRITICAL", set())]
    )
    def test_level(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, level: str, expected: set[str]) -> None:
        """The level comes from the configuration."""
        monkeypatch.setenv("FLOWKILN__LOGGING__LEVEL", level)
        assert {line.split()[0] for line in run(tmp_path, FLOW + "flow.run()\n")} == expected

    def test_children_at_debug(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """What is usual about children of mapped tasks is told at DEBUG."""
        monkeypatch.setenv("FLOWKILN__LOGGING__LEVEL", "DEBUG")
        lines = run(tmp_path, FLOW + "flow.run()\n")
        assert "DEBUG TaskRunner | Task 'invert[1]': starting the task run." in lines
        assert "DEBUG TaskRunner | Task 'invert[1]': the task run ended as Success." in lines

    def test_logging_of_the_program(self, tmp_path: Path) -> None:
        """A program's own handlers get the records, each once, with the loggers' own names."""
        own = "logging.basicConfig(level='INFO', format='%(levelname)s %(name)s | %(message)s')\nflow.run()\n"
        assert sorted(run(tmp_path, FLOW + own)) == sorted(TOLD.replace("run.numbers", "run").splitlines())

    def test_importing_sets_up_nothing(self) -> None:
        """An import leaves logging as it is."""
        source = (
            "import flowkiln, logging; flowkiln.Flow, flowkiln.task\n"
            "assert not logging.getLogger().handlers + logging.getLogger('flowkiln').handlers"
        )
        subprocess.run([sys.executable, "-c", source], check=True)

    def test_waiting_for_a_schedule(self, tmp_path: Path) -> None:
        """A flow that waits says until when."""
        end = """
schedule = OneTimeSchedule(dt.datetime.now(dt.UTC) + dt.timedelta(seconds=4))
Flow("later", schedule=schedule).run()
"""
        waiting, *_ = run(tmp_path, FLOW + end)
        said = r"INFO FlowRunner \| Flow 'later': waiting for the next scheduled run at \d{4}-\S+ \S+, in [1-4] s\."
        assert re.fullmatch(said, waiting)


class OwnRunner(FlowRunner):
    """A runner class of a user's."""


@pytest.mark.parametrize("runner", [None, OwnRunner], ids=["usual", "own runner"])
def test_any_executor(
    any_executor: Executor, caplog: pytest.LogCaptureFixture, runner: type[FlowRunner] | None
) -> None:
    """The same is told on each executor: beginning and end of each task run, with its facts, and of the run."""

    @task
    def good(x: int) -> int:
        return x

    with Flow("f") as flow:
        good(1)
    with caplog.at_level(logging.INFO, "flowkiln"):
        flow.run(executor=any_executor, runner_cls=runner)
    told = [(record.name, record.getMessage()) for record in caplog.records]
    assert told == [
        ("flowkiln.FlowRunner", "Flow 'f': starting the flow run."),
        ("flowkiln.TaskRunner", "Task 'good': starting the task run."),
        ("flowkiln.TaskRunner", "Task 'good': the task run ended as Success."),
        ("flowkiln.FlowRunner", "Flow 'f': the flow run ended as Success: All reference tasks succeeded."),
    ]
    assert vars(caplog.records[2]).items() >= {"task": "good", "map_index": None, "state": "Success"}.items()
