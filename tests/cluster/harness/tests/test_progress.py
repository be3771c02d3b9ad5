"""What is seen of a test cluster while it works: its steps on the terminal, and what its pods print."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.cluster.flowkiln.watching import logs_of_runs
from tests.cluster.harness.kind import KindCluster
from tests.cluster.harness.places import CHECKOUT

from .conftest import StandIns

SLOW_FIXTURE = """
import pytest
from tests.cluster.conftest import shown
from tests.cluster.harness.commands import announced, say

@pytest.fixture
def slow(request):
    say("captured")
    with shown(request.config), announced("pulling images"):
        pass

def test_something(slow): pass
"""


def test_steps_of_minutes_are_shown_while_pytest_captures(tmp_path: Path) -> None:
    """With what is done and how long it took, on lines of their own."""
    (tmp_path / "test_slow.py").write_text(SLOW_FIXTURE)
    settings = ("-p", "no:cacheprovider", f"--config-file={CHECKOUT / 'pyproject.toml'}", f"--rootdir={tmp_path}")
    command = [sys.executable, "-m", "pytest", *settings, str(tmp_path)]
    done = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    begun, ended = done.stderr.splitlines()
    assert begun == "flowkiln test cluster: pulling images …"
    assert ended.startswith("flowkiln test cluster: pulling images: 0.")
    assert "test_slow.py \n" in done.stdout


def test_logs_from_before_a_restart_are_kept(stand_ins: StandIns) -> None:
    """A worker that ended and was restarted is followed both times, and one whose first end was missed is read up."""
    first = {"name": "worker", "restartCount": 0, "containerID": "c1", "state": {"running": {}}}
    again = {"name": "worker", "restartCount": 1, "containerID": "c2", "state": {"running": {}}} | _after("c1")
    other = {"name": "worker", "restartCount": 1, "containerID": "c4", "state": {"waiting": {}}} | _after("c3")
    events = [_event("one", first), _event("one", first), _event("one", again), _event("two", other)]
    lines = "; ".join(f"echo '{json.dumps(event)}'" for event in events)
    stand_ins.answer(
        {
            "kubectl * get --raw *": f"{lines}; exec sleep 60",
            "kubectl * logs --follow one *": f"echo one-$(grep -c 'logs --follow one' {stand_ins.record})",
            "kubectl * logs --previous two *": "echo two-before",
        }
    )
    with logs_of_runs(KindCluster("mine"), "team") as logs:
        logs.wait_for("worker", "two-before")
        logs.wait_for_the_end()
        assert len(logs.lines("worker", pod="one")) == 2
        assert logs.lines("worker", pod="two") == ["two-before"]
    assert len([line for line in stand_ins.asked("kubectl") if " logs " in line]) == 3


def _after(container_id: str) -> dict[str, Any]:
    return {"lastState": {"terminated": {"containerID": container_id}}}


def _event(pod: str, status: dict[str, Any]) -> dict[str, Any]:
    return {"type": "MODIFIED", "object": {"metadata": {"name": pod}, "status": {"containerStatuses": [status]}}}
