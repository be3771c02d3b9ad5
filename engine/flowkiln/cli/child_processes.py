"""The processes that the bodies of a run start: they end with the run."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread

from flowkiln.common.processes import adopting_orphans, descendants, end_descendants, kill_descendants
from flowkiln.engine.bodies.registry import waking_main_thread
from flowkiln.engine.bodies.shutdown import GRACE_PERIOD, shut_down_run


class ChildProcesses:
    """All processes below this one, except those that ran when this was made: they do not belong to the run."""

    def __init__(self) -> None:
        self._spared = {process.pid for process in descendants()}

    def end_bodies(self, run_id: str) -> None:
        """End the bodies of a run in this process, and the processes that they wait for. Returns at once."""
        Thread(target=shut_down_run, args=(run_id, self._spared), name="flowkiln-ending", daemon=True).start()

    def end(self) -> None:
        """End all of them, first by SIGTERM."""
        end_descendants(GRACE_PERIOD, self._spared)

    def kill(self) -> None:
        """Kill all of them without waiting, right before the program ends."""
        kill_descendants(self._spared)


@contextmanager
def ending_child_processes() -> Iterator[ChildProcesses]:
    """End, at the end of the block, all processes that were started in it. Main thread only."""
    with adopting_orphans(), waking_main_thread():
        children = ChildProcesses()
        program = os.getpid()
        try:
            yield children
        finally:
            if os.getpid() == program:
                children.end()
