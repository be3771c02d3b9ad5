"""What a container uses, read from its /proc."""

from __future__ import annotations

import os
import subprocess

import pytest
from benchmarks.cluster.usage import LOOK, MARK, parse

STAT = "{pid} ({name}) S 1 1 1 0 -1 4194560 1 1 0 0 {user} {system} 0 0 20 0 1 0 1 1 1 1"
STATUS = "Name:\t{name}\nVmHWM:\t{peak} kB\nVmRSS:\t{now} kB"


def process(name: str, *, user: int, system: int, now: int, peak: int) -> str:
    """Return what the script prints about a process; CPU in ticks, memory in kB."""
    stat = STAT.format(pid=7, name=name, user=user, system=system)
    return f"{MARK}\n{stat}\n{STATUS.format(name=name, peak=peak, now=now)}\n"


def test_all_processes_but_the_one_that_looks_count() -> None:
    """CPU in seconds, memory in bytes; a name with a space or a parenthesis does no harm, nor one that has gone."""
    said = (
        process("python", user=150, system=50, now=1000, peak=2000)
        + process("a) (b", user=10, system=0, now=1, peak=2)
        + f"{MARK}\n"
        + process("sh", user=100, system=100, now=500, peak=500)
    )
    usage = parse(said)
    assert (usage.cpu, usage.memory, usage.peak) == (2.1, 1001 * 1024, 2002 * 1024)


def test_silence_is_an_error() -> None:
    """A container that could not be looked at does not count as one that uses nothing."""
    with pytest.raises(ValueError, match="no process"):
        parse("")


def test_the_shell_says_what_is_read() -> None:
    """The script runs in a plain sh, and what it prints about real processes can be read."""
    said = subprocess.run(["sh", "-c", LOOK], capture_output=True, text=True, check=False).stdout
    assert parse(said).peak > 2**20
    assert str(os.getpid()) in said
