"""What the bodies of a run started, and may leave behind: it ends with the run."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread

from flowkiln.engine.bodies import waking_main_thread
from flowkiln.engine.endings import PATIENCE, end_run_here
from flowkiln.utilities.processes import adopting_orphans, descendants, end_descendants, kill_descendants


class Leftovers:
    """The processes that the program started since this was made; those before are not the run's."""

    def __init__(self) -> None:
        self._spared = {process.pid for process in descendants()}

    def end_bodies(self, run_id: str) -> None:
        """Have the bodies of a run that run in this process end, and what they wait for. Returns at once."""
        Thread(target=end_run_here, args=(run_id, self._spared), name="flowkiln-ending", daemon=True).start()

    def end(self) -> None:
        """End all that is left."""
        end_descendants(PATIENCE, self._spared)

    def kill(self) -> None:
        """Kill all that is left, without waiting: right before the program ends."""
        kill_descendants(self._spared)


@contextmanager
def nothing_left_behind() -> Iterator[Leftovers]:
    """End, at the end of the block, all processes that were started in it. Main thread only."""
    with adopting_orphans(), waking_main_thread():
        leftovers = Leftovers()
        program = os.getpid()
        try:
            yield leftovers
        finally:
            if os.getpid() == program:
                leftovers.end()
