"""Where the harness keeps what it makes: never in the checkout."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .commands import say

KEPT_LOGS = 5
CHECKOUT = Path(__file__).resolve().parents[3]


def cache_folder() -> Path:
    """Return the folder for binaries, base images and running instances.

    `$FLOWKILN_CACHE`, else `$XDG_CACHE_HOME/flowkiln`, else `~/.cache/flowkiln`.
    """
    if own := os.environ.get("FLOWKILN_CACHE"):
        folder = Path(own)
    elif xdg := os.environ.get("XDG_CACHE_HOME"):
        folder = Path(xdg) / "flowkiln"
    else:
        folder = Path.home() / ".cache" / "flowkiln"
    folder.mkdir(parents=True, exist_ok=True)
    return folder.resolve()


def kept_logs_folder(name: str) -> Path:
    """Return a new, empty folder for the logs of a cluster; the oldest of such folders go."""
    kept = cache_folder() / "kept-logs"
    with exclusive(cache_folder() / "locks" / "kept-logs", doing="keeping logs"):
        kept.mkdir(exist_ok=True)
        for old in sorted(kept.iterdir(), key=lambda folder: folder.stat().st_mtime)[: -(KEPT_LOGS - 1)]:
            shutil.rmtree(old)
        shutil.rmtree(kept / name, ignore_errors=True)
        (kept / name).mkdir()
    return kept / name


@contextmanager
def exclusive(lock: Path, *, doing: str) -> Iterator[None]:
    """Hold a lock file, so that two sessions do not do the same work at the same time."""
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("w") as held:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"waiting for another session that is {doing}")
            fcntl.flock(held, fcntl.LOCK_EX)
        yield
