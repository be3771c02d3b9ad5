"""Where the harness keeps what it makes: never in the checkout."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .commands import say

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
