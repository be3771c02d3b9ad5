"""The built node's parts that decide something."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.cluster.harness.interface import HarnessError
from tests.cluster.harness.node import record
from tests.cluster.harness.node.cgroups import Hierarchy, hierarchies
from tests.cluster.harness.process import Process, Spawner, children

MOUNTS = """\
proc /proc proc rw 0 0
cgroup /sys/fs/cgroup/memory cgroup rw,memory 0 0
cgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0
/dev/vda / ext4 rw 0 0
"""


def test_hierarchies_of_a_host_with_both_versions() -> None:
    """A host may have hierarchies of both versions of cgroups; other mounts are none."""
    assert hierarchies(MOUNTS) == [
        Hierarchy(Path("/sys/fs/cgroup/memory"), unified=False),
        Hierarchy(Path("/sys/fs/cgroup/unified"), unified=True),
    ]


def test_record_comes_back_as_it_was_saved(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Another session reads the processes and the owner that one has written."""
    monkeypatch.setenv("FLOWKILN_CACHE", str(tmp_path))
    saved = record.Record(
        "one", owner=Process(10, 20), first=Process(11, 21), port=4, components={"etcd": Process(12, 22)}
    )
    saved.save()
    assert record.find("one") == saved
    assert list(record.all_records()) == [saved]
    assert record.find("two") is None


@pytest.mark.parametrize("name", ["", "../other", "With-Capitals", "a" * 60, "-dash"])
def test_cluster_names_are_checked(name: str) -> None:
    """A name becomes a path and a cgroup, so nothing but a plain name is taken."""
    with pytest.raises(HarnessError, match="cannot name a cluster"):
        record.find(name)


def test_process_is_known_by_its_start_too(tmp_path: Path) -> None:
    """A process id that somebody else has now is not our process; an ended process is not alive."""
    spawner = Spawner()
    started = spawner.start([sys.executable, "-c", "import time; time.sleep(600)"], tmp_path / "log")
    process = Process.of(started.pid)
    assert process.alive
    assert not Process(process.pid, process.started + 1).alive
    process.kill()
    assert not process.alive
    spawner.reap()
    with pytest.raises(ProcessLookupError):
        Process.of(process.pid)


def test_children_of_a_process() -> None:
    """The process that a wrapper started is found."""
    with subprocess.Popen(["sh", "-c", "sleep 600 & echo $!; wait"], stdout=subprocess.PIPE, text=True) as shell:
        assert shell.stdout is not None
        sleeper = int(shell.stdout.readline())
        assert children(shell.pid) == [sleeper]
        Process.of(sleeper).kill()
