from __future__ import annotations

import json
import logging
import os
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from flowkiln import Flow, context
from flowkiln.engine.signals import FAIL
from flowkiln.engine.state import TimedOut
from flowkiln.tasks.core.command import LARGEST_VARIABLE, CommandTask
from flowkiln.utilities.exceptions import FlowkilnError


def python(source: str) -> list[str]:
    """Give a command that runs Python source."""
    return [sys.executable, "-c", source]


def alive(pid: int) -> bool:
    """Say whether a process runs."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    # A killed process that nobody waited for is a zombie until its parent does.
    return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()


def wait_until_gone(pid: int) -> None:
    """Wait for the end of a process."""
    deadline = time.monotonic() + 240
    while alive(pid):
        assert time.monotonic() < deadline, "the process is still there"
        time.sleep(0.02)


class TestCommandTask:
    @pytest.mark.parametrize(
        ("printed", "result"),
        [('first\\n{"a": [1]}\\n\\n', {"a": [1]}), ("just text", "just text"), ("3", 3), ("", None)],
    )
    def test_the_result_is_the_last_line(self, printed: str, result: Any) -> None:
        """The last line that says something, as JSON if it is; None without one."""
        assert CommandTask(python(f"print('{printed}', end='')")).run() == result

    @pytest.mark.parametrize("printed", ["6e12345", "[1e400]", "NaN", '{"a": 1, "a": 2}', "1234567abc"])
    def test_what_would_arrive_changed_stays_text(self, printed: str) -> None:
        """A commit's id is no infinity, and of a key given twice no value is lost."""
        assert CommandTask(["echo", printed]).run() == printed

    def test_a_str_goes_to_the_shell(self) -> None:
        """A command in one str may use the shell."""
        assert CommandTask("echo a; echo $((1 + 1))").run() == 2

    def test_inputs_are_json_in_the_environment(self) -> None:
        """Each input is in FLOWKILN_INPUT_<NAME>, beside the task's own variables and this process's."""
        source = "import os, json; print(json.dumps([os.environ[n] for n in ('FLOWKILN_INPUT_ROWS', 'EXTRA', 'PATH')]))"
        rows, extra, path = CommandTask(python(source), env={"EXTRA": "e"}).run(rows={"a": None})
        assert (json.loads(rows), extra, path) == ({"a": None}, "e", os.environ["PATH"])

    def test_large_inputs_are_files(self) -> None:
        """Past 32 KiB the variable with _FILE names a file, which is gone afterwards."""
        source = (
            "import os, json; p = os.environ['FLOWKILN_INPUT_BIG_FILE']; assert 'FLOWKILN_INPUT_BIG' not in os.environ;"
            "print(json.dumps([p, len(json.load(open(p)))]))"
        )
        path, length = CommandTask(python(source)).run(big="x" * LARGEST_VARIABLE)
        assert length == LARGEST_VARIABLE
        assert not Path(path).exists()

    def test_an_input_that_is_no_json(self) -> None:
        """The error names the input."""
        with pytest.raises(FlowkilnError, match="'rows'"):
            CommandTask("true").run(rows=object())

    def test_inputs_that_differ_by_case_only(self) -> None:
        """They would share a variable, so the second is refused by name."""
        with pytest.raises(FlowkilnError, match="'ROWS'"):
            CommandTask("true").run(rows=1, ROWS=2)

    def test_a_non_zero_exit_fails(self) -> None:
        """The message has the code and the last 4 KiB of standard error, not more."""
        source = "import sys; print('x' * 5000 + 'the end', file=sys.stderr); sys.exit(3)"
        with pytest.raises(FAIL) as failure:
            CommandTask(python(source)).run()
        message = str(failure.value)
        assert "exited with code 3" in message
        assert message.endswith("the end")
        assert 4000 < message.count("x") < 4097

    def test_a_killed_program_fails(self) -> None:
        """A signal is named."""
        with pytest.raises(FAIL, match="was ended by SIGKILL"):
            CommandTask("kill -9 $$").run()

    @pytest.mark.parametrize(("program", "why"), [("nosuchprogram", "No such file"), ("/etc", "Permission denied")])
    def test_a_program_that_cannot_be_started_fails_by_name(self, program: str, why: str) -> None:
        """The message says which program, and what to do."""
        with Flow("f") as flow:
            made = CommandTask([program, "x"])()
        message = flow.run().result[made].message
        assert message.startswith(f"{program} cannot be started: {why}")
        assert "must be installed where the task runs" in message

    def test_an_input_may_have_any_name(self) -> None:
        """Also one that methods use themselves."""
        with Flow("f") as flow:
            made = CommandTask("echo $FLOWKILN_INPUT_SELF")()
            flow.set_dependencies(made, keyword_tasks={"self": 5}, validate=True)
        assert flow.run().result[made].result == 5

    def test_output_goes_to_the_log_of_the_run(self, caplog: pytest.LogCaptureFixture) -> None:
        """Lines of both streams are logged, with the facts of the run."""
        with caplog.at_level(logging.INFO, "flowkiln"), context(task_name="t", run_id="r"):
            CommandTask("echo out; echo err >&2").run()
        records = {record.getMessage(): record for record in caplog.records}
        assert (records["out"].levelno, records["err"].levelno) == (logging.INFO, logging.WARNING)
        assert (records["out"].__dict__["task"], records["out"].__dict__["run"]) == ("t", "r")

    def test_the_timeout_ends_the_whole_group(self, tmp_path: Path) -> None:
        """A program and what it started end when the time is over, also off the main thread."""
        pids = tmp_path / "pids"
        command = CommandTask(f"sleep 100 & echo $! $$ > {pids}; wait", timeout=3)
        errors: list[BaseException] = []

        def run() -> None:
            try:
                command.run()
            except TimeoutError as error:
                errors.append(error)

        thread = threading.Thread(target=run)
        thread.start()
        thread.join()
        assert len(errors) == 1
        for pid in map(int, pids.read_text().split()):
            wait_until_gone(pid)

    def test_what_is_left_behind_is_ended(self) -> None:
        """A background process that keeps the output open neither outlives the task nor holds it up."""
        pid = CommandTask("sleep 100 & echo $!").run()
        wait_until_gone(pid)

    def test_in_a_flow(self) -> None:
        """Inputs come from upstream tasks; the state of one that takes too long is TimedOut."""
        with Flow("f") as flow:
            total = CommandTask("echo $(($FLOWKILN_INPUT_A + 1))")(a=41)
            slow = CommandTask("sleep 100", timeout=1)()
        state = flow.run()
        assert state.result[total].result == 42
        assert isinstance(state.result[slow], TimedOut)

    def test_arguments_are_checked(self) -> None:
        """A command is words, and at least one."""
        with pytest.raises(ValueError, match="command is empty"):
            CommandTask([])
        with pytest.raises(TypeError, match="command"):
            CommandTask(["sleep", 5])  # type: ignore[list-item]
        with pytest.raises(TypeError, match="command"):
            CommandTask(None)  # type: ignore[arg-type]

    @pytest.mark.parametrize("env", [5, {"DEPTH": 1}, ["A=1"]])
    def test_env_is_text_by_name(self, env: Any) -> None:
        """Anything else is refused when the task is made, not when it runs."""
        with pytest.raises(TypeError, match="env must be a dict of str to str"):
            CommandTask("true", env=env)
