"""One test cluster for a session with several processes."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.harness.interface import HarnessError
from tests.cluster.harness.places import CHECKOUT
from tests.cluster.sharing import Guest, Host

from .conftest import StandIns

CREATE, DELETE = "create cluster", "delete cluster"
USING = """
def test_{number}(cluster):
    assert cluster.kubectl("get", "--raw=/version")
    assert {holds}
"""


@pytest.fixture(autouse=True)
def by_kind(stand_ins: StandIns, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the sessions of these tests take the stand-ins for a Docker engine and kind."""
    monkeypatch.setenv("FLOWKILN_TEST_CLUSTER", "kind")
    monkeypatch.setenv("FLOWKILN_TEST_IMAGE", "mine:latest")
    monkeypatch.delenv("FLOWKILN_TEST_REUSE", raising=False)


@pytest.fixture
def host(pytestconfig: pytest.Config) -> Iterator[Host]:
    """Return the first process of a session."""
    made = Host(pytestconfig)
    yield made
    made.pytest_sessionfinish()


def test_two_processes_share_one_cluster(stand_ins: StandIns, tmp_path: Path) -> None:
    """It is created once and deleted once, and its steps are shown; a failure in any of the processes fails the
    session, keeps the logs, and is counted in the one line at the end.
    """
    tests = tmp_path / "tests" / "cluster"
    tests.mkdir(parents=True)
    for number, holds in enumerate((False, True)):
        (tests / f"test_{number}.py").write_text(USING.format(number=number, holds=holds))
    settings = ("-p", "no:cacheprovider", f"--config-file={CHECKOUT / 'pyproject.toml'}", f"--rootdir={tmp_path}")
    plugins = ("-p", "tests.conftest", "-p", "tests.cluster.conftest", "-n", "2")
    command = [sys.executable, "-m", "pytest", *settings, *plugins, str(tests)]
    done = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "1 failed, 1 passed" in done.stdout
    assert "logs of the test cluster: " in done.stdout
    assert "kind creates the cluster" in done.stderr
    assert asked(stand_ins, CREATE) == 1
    assert asked(stand_ins, DELETE) == 1


def test_no_cluster_before_a_test_needs_it(stand_ins: StandIns, host: Host) -> None:
    """A session of several processes brings up no more than one of one."""
    assert stand_ins.asked("kind") == []
    assert Guest(host.address).cluster().kubectl("get", "--raw=/version")
    assert asked(stand_ins, CREATE) == 1


def test_a_cluster_that_does_not_start_is_tried_once(stand_ins: StandIns, host: Host) -> None:
    """Each process is told the reason."""
    stand_ins.answer({"kind create cluster*": "echo no room; exit 1"})
    for guest in (Guest(host.address), Guest(host.address)):
        with pytest.raises(HarnessError, match="no room"):
            guest.images()
    assert asked(stand_ins, CREATE) == 1


def asked(stand_ins: StandIns, command: str) -> int:
    """Return how often kind was asked for this."""
    return len([line for line in stand_ins.asked("kind") if line.startswith(command)])
