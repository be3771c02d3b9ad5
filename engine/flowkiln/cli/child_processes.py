"""End the processes that the bodies of a run start."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread

from flowkiln.common.processes import adopting_orphans, descendants, end_descendants, kill_descendants
from flowkiln.engine.bodies.registry import waking_main_thread
from flowkiln.engine.bodies.shutdown import GRACE_PERIOD, shut_down_run


class ChildProcesses:
    """All descendant processes, except those that existed before and do not belong to the run."""

    def __init__(self) -> None:
        self._spared = {process.pid for process in descendants()}

    def end_bodies(self, run_id: str) -> None:
        """End the bodies of a run in this process and the processes that they wait for, without waiting."""
        Thread(target=shut_down_run, args=(run_id, self._spared), name="flowkiln-ending", daemon=True).start()

    def end(self) -> None:
        """End all of them, first with SIGTERM."""
        end_descendants(GRACE_PERIOD, self._spared)

    def kill(self) -> None:
        """Kill all of them without waiting, just before the program ends."""
        kill_descendants(self._spared)


@contextmanager
def ending_child_processes() -> Iterator[ChildProcesses]:
    """End all processes that were started in the block when it ends. Main thread only."""
    with adopting_orphans(), waking_main_thread():
        children = ChildProcesses()
        program = os.getpid()
        try:
            yield children
        finally:
            if os.getpid() == program:
                children.end()
