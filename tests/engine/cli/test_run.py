from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import textwrap
from pathlib import Path
from typing import Any

import pytest

from tests.engine.loading.builders import flow_document, write_documents

from .builders import invoke, start

EXECUTORS = ["local", "sync", "threads", "dask"]

FLOW = """
from datetime import timedelta
import os
import flowkiln
from flowkiln import Flow, Parameter, get_run_logger, task

class Heat:
    '''A result that only this module knows.'''
    def __init__(self, degrees):
        self.degrees = degrees
    def __repr__(self):
        return f"Heat({self.degrees})"

@task(max_retries=1, retry_delay=timedelta(0))
def light():
    if flowkiln.context.task_run_count == 1:
        raise RuntimeError("wet wood")
    get_run_logger().info("burning in %s", "fire" if os.getpid() != int(os.environ["KILN_PID"]) else "place")

@task
def tiles(count):
    return list(range(count))

@task
def burn(tile, bad):
    if tile == bad:
        raise ValueError(f"tile {tile} cracked")
    return Heat(tile)

@task
def weigh(tiles):
    return {"degrees": [tile.degrees for tile in tiles], "last": tiles[-1]}

with Flow("kiln") as flow:
    fire = light()
    burnt = burn.map(tiles(Parameter("count", 3)), bad=flowkiln.unmapped(Parameter("bad", -1)))
    weigh(burnt, upstream_tasks=[fire])
"""


@pytest.fixture
def flow_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A flow with a retry, a map and classes of its own."""
    monkeypatch.setenv("KILN_PID", str(os.getpid()))
    path = tmp_path / "kiln_flow.py"
    path.write_text(FLOW)
    return path


def run_json(*arguments: str | Path) -> dict[str, Any]:
    """Run a flow with --json and give what was printed."""
    outcome = json.loads(invoke("run", "--json", "--quiet", *arguments).stdout)
    assert isinstance(outcome, dict)
    return outcome


class TestOutcome:
    @pytest.mark.parametrize("executor", EXECUTORS)
    def test_success(self, flow_file: Path, executor: str) -> None:
        """On each executor the flow's own modules are found, the log arrives, and the exit code is 0."""
        ended = invoke("run", flow_file, "--executor", executor, "--workers", "1")
        assert ended.exit_code == 0, ended.output
        assert "light | burning in " + ("fire" if executor == "dask" else "place") in ended.stderr
        assert "light: Retrying" in ended.stderr
        assert "burn: mapped over 3" in ended.stderr
        assert "flow run: Success" in ended.stderr
        assert ended.stdout.splitlines()[0].split() == ["TASK", "STATE", "CHILDREN", "ATTEMPTS", "TIME"]
        assert ended.stdout.splitlines()[-1].startswith("kiln: Success")

    def test_a_class_of_the_flow(self, flow_file: Path) -> None:
        """A failure that is a subclass counts and is shown as one, with its own name and its reason."""
        flow_file.write_text(
            "from flowkiln import Flow, task\n"
            "from flowkiln.engine.signals import ENDRUN\n"
            "from flowkiln.engine.state import Failed\n"
            "class QualityFailed(Failed): pass\n"
            "@task\n"
            "def check(): raise ENDRUN(QualityFailed('3 rows are empty'))\n"
            "with Flow('kiln') as flow: check()\n"
        )
        ended = invoke("run", flow_file, "--executor", "local")
        assert ended.exit_code == 1
        assert "check: Failed (QualityFailed): 3 rows are empty" in ended.stdout

    def test_failure(self, flow_file: Path) -> None:
        """The failed child is named with its traceback, what did not run because of it has none; exit code 1."""
        ended = invoke("run", flow_file, "-p", "bad=1", "--executor", "local")
        assert ended.exit_code == 1
        assert "\nburn[1]: Failed\nTraceback" in ended.stdout
        assert 'raise ValueError(f"tile {tile} cracked")' in ended.stdout
        assert ended.stdout.count("Traceback") == 1
        assert "\n1 task did not run because of it: weigh\n" in ended.stdout
        assert ended.stdout.splitlines()[-1].startswith("kiln: Failed")

    def test_quiet(self, flow_file: Path) -> None:
        """Nothing is printed about a run that goes well."""
        ended = invoke("run", flow_file, "--executor", "local", "--quiet")
        assert (ended.exit_code, ended.output) == (0, "")

    def test_quiet_failure(self, flow_file: Path) -> None:
        """Why a quiet run failed is told on standard error, without the table and without the log."""
        ended = invoke("run", flow_file, "-p", "bad=1", "--executor", "local", "--quiet")
        assert (ended.exit_code, ended.stdout) == (1, "")
        first, *_, last = ended.stderr.splitlines()
        assert (first, last[:13]) == ("burn[1]: Failed", "kiln: Failed ")

    def test_json(self, flow_file: Path) -> None:
        """States, attempts, children, and results of the reference tasks; what JSON cannot say is a repr."""
        outcome = run_json(flow_file, "--executor", "local")
        tasks = {task["name"]: task for task in outcome["tasks"]}
        assert (outcome["flow"], outcome["state"]) == ("kiln", "Success")
        assert (tasks["burn"]["state"], tasks["burn"]["children"]) == ("Success", {"Success": 3})
        assert tasks["light"]["runCount"] == 2
        assert outcome["results"] == {"weigh": {"degrees": [0, 1, 2], "last": "Heat(2)"}}
        assert outcome["losses"] == {"weigh": ["repr"]}

    def test_json_of_a_failure(self, flow_file: Path) -> None:
        """Failures are listed by their full names."""
        outcome = run_json(flow_file, "-p", "bad=1", "--executor", "local")
        (burn,) = (task for task in outcome["tasks"] if task["name"] == "burn")
        assert outcome["state"] == "Failed"
        assert burn["children"] == {"Success": 2, "Failed": 1}
        assert [(failure["name"], failure["state"]) for failure in burn["failures"]] == [("burn[1]", "Failed")]

    def test_paused(self, tmp_path: Path) -> None:
        """A flow that waits for somebody ends the program with a code of its own."""
        path = tmp_path / "kiln_paused.py"
        path.write_text(
            textwrap.dedent("""
            from flowkiln import Flow, Task
            from flowkiln.triggers import manual_only
            flow = Flow("p", tasks=[Task("gate", trigger=manual_only)])
            """)
        )
        ended = invoke("run", path, "--executor", "local")
        assert (ended.exit_code, "gate: Paused" in ended.stderr) == (4, True)


class TestParameters:
    def test_who_wins(self, flow_file: Path, tmp_path: Path) -> None:
        """-p wins over the file, and the file over defaults."""
        file = tmp_path / "p.yaml"
        file.write_text("count: 9\nbad: 0\n")
        outcome = run_json(flow_file, "--parameters", file, "-p", "count=2", "--executor", "local")
        (burn,) = (task for task in outcome["tasks"] if task["name"] == "burn")
        assert burn["children"] == {"Success": 1, "Failed": 1}

    @pytest.mark.parametrize(
        ("given", "said"),
        [
            (
                ["-p", "cuont=2"],
                'Error: flow \'kiln\': -p cuont=2: there is no parameter "cuont"; did you mean "count"?',
            ),
            (["-p", "count"], "'count' has no '='; write name=value"),
            (["--parameters", "nowhere.yaml"], "'nowhere.yaml' does not exist"),
            (["--workers", "0"], "0 is not in the range x>=1"),
        ],
    )
    def test_wrong_usage(self, flow_file: Path, given: list[str], said: str) -> None:
        """What does not fit is said, with exit code 2."""
        ended = invoke("run", flow_file, *given)
        assert ended.exit_code == 2
        assert said in ended.stderr

    def test_schemas(self, tmp_path: Path) -> None:
        """Values for a YAML flow are compared with its schemas, in the operator's words, one line each."""
        parameters = [{"name": name, "schema": {"type": "integer"}} for name in ("a", "b")]
        file = write_documents(tmp_path / "f.yaml", flow_document("x", parameters=parameters))
        ended = invoke("run", file, "-p", "a=old", "-p", "b=1.5")
        assert ended.exit_code == 2
        assert ended.stderr.splitlines() == [
            "Error: -p a=old: 'old' is not of type 'integer'",
            "Error: -p b=1.5: 1.5 is not of type 'integer'",
        ]


class TestLoading:
    def test_code_that_raises(self, tmp_path: Path) -> None:
        """The traceback begins in the user's file; exit code 3."""
        path = tmp_path / "kiln_raises.py"
        path.write_text("def light():\n    raise RuntimeError('wet wood')\nlight()\n")
        ended = invoke("run", path)
        assert ended.exit_code == 3
        lines = ended.stderr.splitlines()
        assert lines[0] == "Traceback (most recent call last):"
        assert lines[1].strip().startswith(f'File "{path}", line 3')
        assert lines[-1] == f"Error: {path}: importing it raised RuntimeError: wet wood"

    def test_syntax(self, tmp_path: Path) -> None:
        """The line is shown."""
        path = tmp_path / "kiln_syntax.py"
        path.write_text("x = (\n")
        ended = invoke("run", path)
        assert ended.exit_code == 3
        assert "SyntaxError: '(' was never closed" in ended.stderr

    def test_no_flow(self, tmp_path: Path) -> None:
        """No traceback of ours is shown where the user raised nothing."""
        path = tmp_path / "kiln_empty.py"
        path.write_text("")
        ended = invoke("run", path)
        assert (ended.exit_code, "Traceback" in ended.stderr) == (3, False)
        assert "there is no flow at module level" in ended.stderr


SLOW = """
import os, signal, time
from flowkiln import Flow, task

@task
def slow(number):
    print(f"up {number}", flush=True)
    time.sleep(600)

def linger(flow, old, new):
    if new.is_finished() and "KILN_LINGERS" in os.environ:
        time.sleep(600)

with Flow("slow", state_handlers=[linger]) as flow:
    slow.map([1, 2])
"""


class TestEnding:
    @pytest.fixture
    def lingering(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A flow of SLOW does not come to its end, once it has begun to end."""
        monkeypatch.setenv("KILN_LINGERS", "yes")

    @pytest.fixture
    def running(self, tmp_path: Path) -> Any:
        """A program whose flow's bodies are at work in two processes."""
        path = tmp_path / "kiln_slow.py"
        path.write_text(SLOW)
        program = start("run", path, "--workers", "2")
        assert program.stderr is not None
        seen = ""
        while seen.count("| up") < 2:
            assert select.select([program.stderr], [], [], 60)[0], "the bodies did not start"
            seen += os.read(program.stderr.fileno(), 1000).decode()
        yield program
        if program.poll() is None:
            os.killpg(program.pid, signal.SIGKILL)
        program.communicate()

    def test_interrupt(self, running: subprocess.Popen[str]) -> None:
        """Ctrl-C, which a terminal sends to workers too, cancels the run and prints the outcome.

        No process stays: each of them holds the pipes that are read to their ends here.
        """
        os.killpg(running.pid, signal.SIGINT)
        output, errors = running.communicate(timeout=240)
        assert running.returncode == 130
        assert "Ending the run; Ctrl-C again to leave at once." in errors
        assert "KeyboardInterrupt" not in errors
        assert output.splitlines()[-1].startswith("slow: Cancelled")

    @pytest.mark.usefixtures("lingering")
    def test_two_interrupts(self, running: subprocess.Popen[str]) -> None:
        """The second one ends the program without an outcome."""
        os.killpg(running.pid, signal.SIGINT)
        assert running.stderr is not None
        while "Ctrl-C again" not in running.stderr.readline():
            assert running.poll() is None
        os.killpg(running.pid, signal.SIGINT)
        output, _ = running.communicate(timeout=240)
        assert (running.returncode, "Cancelled" in output) == (130, False)

    def test_timeout(self, tmp_path: Path) -> None:
        """A flow's timeout ends the run here too, as Failed."""
        source = {"files": [{"path": "kiln_sleep.py", "content": "import time\ndef wait(): time.sleep(600)\n"}]}
        tasks = [{"name": "wait", "function": "kiln_sleep:wait"}]
        file = write_documents(tmp_path / "f.yaml", flow_document("x", source=source, tasks=tasks, timeout="1s"))
        ended = invoke("run", file, "--workers", "1")
        assert ended.exit_code == 1
        assert "The run took longer than its timeout of 1.0 s." in ended.stderr
