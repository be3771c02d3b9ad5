"""Records, flows and a runner of the command line for its tests."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from click.testing import CliRunner, Result

from flowkiln.cli import main
from flowkiln.states.records import NOT_MAPPED, TaskRunRecord

PROGRAM = [sys.executable, "-m", "flowkiln.cli"]


def invoke(*arguments: str | Path) -> Result:
    """Run `flowkiln` in this process."""
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def start(*arguments: str | Path) -> subprocess.Popen[str]:
    """Start `flowkiln` as a program of its own, in a process group of its own as a shell would."""
    return subprocess.Popen(
        [*PROGRAM, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def record(task: str, state: str, index: int = NOT_MAPPED, **facts: object) -> TaskRunRecord:
    """A record of one task run."""
    return TaskRunRecord(task, index, state, **facts)  # type: ignore[arg-type]
