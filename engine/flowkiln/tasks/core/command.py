"""Tasks that run a program."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext, suppress
from contextvars import copy_context
from pathlib import Path
from threading import Thread
from typing import IO, Any

from flowkiln.common.exceptions import FlowkilnError
from flowkiln.common.json_text import JsonError, read_json
from flowkiln.common.logging import get_run_logger
from flowkiln.core.task import Task
from flowkiln.engine.bodies.deadlines import DeadlineExceeded
from flowkiln.states.signals import FAIL

INPUT_PREFIX = "FLOWKILN_INPUT_"
FILE_SUFFIX = "_FILE"
LARGEST_VARIABLE = 32 * 1024
ERROR_TAIL = 4 * 1024
# Between two polls Python can raise exceptions that other threads set in this one, such as a deadline.
_LOOK_EVERY = 0.05
_GRACE = 2.0


class CommandTask(Task):
    """Run a program on the worker.

    Its result is the last line of standard output, as JSON if it parses as JSON, else as text. An object with a
    duplicate key and a number too large for a float stay text. Each input is JSON in the environment variable
    `FLOWKILN_INPUT_<NAME>`; above 32 KiB it is in the file that `FLOWKILN_INPUT_<NAME>_FILE` names. Output goes to the
    run's log. The program and its children are one process group, which is ended when the program ends, when the
    timeout is over, or when the task run is stopped.

    Args:
        command: program and arguments; a str is passed to `/bin/sh -c`.
        env: environment variables in addition to those of this process.
        **kwargs: arguments of `Task`.

    Raises:
        TypeError: `command` is neither a str nor a list of str, or `env` is not a dict of str to str.
        ValueError: `command` is empty.
    """

    def __init__(self, command: str | Sequence[str], env: Mapping[str, str] | None = None, **kwargs: Any) -> None:
        words = [command] if isinstance(command, str) else command
        if not isinstance(words, Sequence) or not all(isinstance(word, str) for word in words):
            raise TypeError(f"command must be a str or a list of str, not {command!r}.")
        if not command:
            raise ValueError("command is empty; give a program to run.")
        if not isinstance(env or {}, Mapping) or not all(isinstance(text, str) for text in (env or {}).values()):
            raise TypeError(f"env must be a dict of str to str, not {env!r}.")
        self.command = command
        self.arguments = ["/bin/sh", "-c", command] if isinstance(command, str) else list(command)
        self.env = dict(env or {})
        super().__init__(**kwargs)

    def run(self, /, **inputs: Any) -> Any:
        """Run the program.

        Raises:
            signals.FAIL: it cannot be started, or its exit code is not zero; the message has the code and the end of
                standard error.
            TimeoutError: the task's timeout is over.
            FlowkilnError: an input cannot be written as JSON, or two inputs differ only in case.
        """
        logger = get_run_logger()
        output = _LastLine(lambda line: logger.info("%s", line))
        errors = _Tail(lambda line: logger.warning("%s", line))
        with tempfile.TemporaryDirectory(prefix="flowkiln-") as directory:
            environment = {**os.environ, **self.env, **_input_variables(inputs, directory)}
            code = _run_program(self.arguments, environment, self.timeout, output.take, errors.take)
        if code != 0:
            how = f"exited with code {code}" if code > 0 else f"was ended by {signal.Signals(-code).name}"
            raise FAIL(f"{self.arguments[0]} {how}. The end of its standard error: {errors.text() or '(nothing)'}")
        return output.value()


def _input_variables(inputs: Mapping[str, Any], directory: str) -> dict[str, str]:
    variables: dict[str, str] = {}
    for name, value in inputs.items():
        variable = INPUT_PREFIX + name.upper()
        if variable in variables or variable + FILE_SUFFIX in variables:
            raise FlowkilnError(f"Input {name!r} of a command needs another name: another input has {variable}.")
        try:
            text = json.dumps(value)
        except (TypeError, ValueError) as error:
            raise FlowkilnError(f"Input {name!r} of a command must be JSON: {error}.") from error
        if len(text.encode()) <= LARGEST_VARIABLE:
            variables[variable] = text
        else:
            path = Path(directory, name)
            path.write_text(text, encoding="utf-8")
            variables[variable + FILE_SUFFIX] = str(path)
    return variables


def _run_program(
    arguments: Sequence[str],
    environment: Mapping[str, str],
    timeout: float | None,
    take_output: Callable[[str], None],
    take_error: Callable[[str], None],
) -> int:
    """Return the exit code. Always end the process group and read its output."""
    deadline = None if timeout is None else time.monotonic() + timeout
    try:
        process = subprocess.Popen(
            arguments,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
    except OSError as error:
        raise FAIL(
            f"{arguments[0]} cannot be started: {error.strerror}. A program must be installed where the task runs, "
            "and be executable."
        ) from error
    readers = [_start_reading(process.stdout, take_output), _start_reading(process.stderr, take_error)]
    try:
        return _wait(process, deadline)
    finally:
        _end(process)
        for reader in readers:
            # Only a descendant that left the process group can still hold the stream; the task does not wait for it.
            reader.join(_GRACE)


def _wait(process: subprocess.Popen[bytes], deadline: float | None) -> int:
    while True:
        try:
            return process.wait(_LOOK_EVERY)
        except subprocess.TimeoutExpired:
            if deadline is not None and time.monotonic() > deadline:
                raise DeadlineExceeded("The program did not end in time.") from None


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the whole process group with SIGTERM, then with SIGKILL."""
    _signal_group(process, signal.SIGTERM)
    try:
        with suppress(subprocess.TimeoutExpired):
            process.wait(_GRACE)
    finally:
        _signal_group(process, signal.SIGKILL)
        process.wait()


def _signal_group(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    try:
        os.killpg(process.pid, number)
    except (ProcessLookupError, PermissionError):  # the group is empty
        return


def _start_reading(stream: IO[bytes] | None, take: Callable[[str], None]) -> Thread:
    """Read the lines of a stream in a thread with the context of this one."""

    def read() -> None:
        with stream or nullcontext(()) as lines:
            for line in lines:
                take(line.decode(errors="replace").rstrip("\r\n"))

    reader = Thread(target=copy_context().run, args=(read,), daemon=True)
    reader.start()
    return reader


class _LastLine:
    """Log each line and keep the last non-blank one."""

    def __init__(self, log: Callable[[str], None]) -> None:
        self._log = log
        self._line: str | None = None

    def take(self, line: str) -> None:
        self._log(line)
        if line.strip():
            self._line = line

    def value(self) -> Any:
        if self._line is None:
            return None
        try:
            return read_json(self._line)
        except JsonError:
            return self._line


class _Tail:
    """Log each line and keep the last ones, up to 4 KiB."""

    def __init__(self, log: Callable[[str], None]) -> None:
        self._log = log
        self._kept = b""

    def take(self, line: str) -> None:
        self._log(line)
        self._kept = (self._kept + line.encode() + b"\n")[-ERROR_TAIL:]

    def text(self) -> str:
        return self._kept.decode(errors="replace").strip()
