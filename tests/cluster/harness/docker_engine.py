"""Whether the Docker engine and kind are there: what the way by kind stands on."""

from __future__ import annotations

import shutil

from .commands import run
from .interface import HarnessError

PROGRAMS = ("docker", "kind")
PATIENCE = 30  # seconds for an engine to answer


def docker_answers() -> bool:
    """Return whether kind is installed and a Docker engine answers."""
    return not _missing() and _engine_answers()


def require_docker() -> None:
    """Raise HarnessError with what to install or to start, unless a cluster by kind can be had."""
    if missing := _missing():
        raise HarnessError(f"a cluster by kind needs {' and '.join(missing)} on the PATH: install {_them(missing)}")
    if not _engine_answers():
        raise HarnessError(
            "a cluster by kind needs a Docker engine, and none answers: start it, or get the right to use it "
            "(`docker info` says what is wrong)"
        )


def _missing() -> list[str]:
    return [program for program in PROGRAMS if shutil.which(program) is None]


def _them(missing: list[str]) -> str:
    return "it" if len(missing) == 1 else "them"


def _engine_answers() -> bool:
    try:
        return run(["docker", "info"], check=False, timeout=PATIENCE).returncode == 0
    except HarnessError:  # it hangs
        return False
