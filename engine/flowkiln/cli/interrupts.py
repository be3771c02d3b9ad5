"""Handle Ctrl-C during a run: the first ends the run cleanly, the second ends the program at once."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

from flowkiln.cli.exit_codes import ExitCode

INTERRUPTED_AGAIN = "Interrupted again: running tasks were killed, and there is no outcome."


@dataclass
class Interruption:
    """Whether a signal has requested the end of the run."""

    requested: bool = False


@contextmanager
def ending_on_interrupt(terminate: Callable[[], None], before_exit: Callable[[], object]) -> Iterator[Interruption]:
    """Call `terminate` on the first SIGINT or SIGTERM; on the second call `before_exit` and leave without cleaning up.

    Main thread only. Processes forked inside the block have the previous handlers.
    """
    interruption = Interruption()
    program = os.getpid()

    def handle(number: int, frame: FrameType | None) -> None:
        if os.getpid() != program:
            signal.signal(number, before[signal.Signals(number)])
            signal.raise_signal(number)
            return
        if interruption.requested:
            before_exit()
            os._exit(ExitCode.INTERRUPTED)
        interruption.requested = True
        terminate()

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield interruption
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
