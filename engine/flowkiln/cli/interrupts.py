"""Ctrl-C while a flow runs: once to end the run cleanly, twice to end the program at once."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

from flowkiln.cli.exit_codes import ExitCode


@dataclass
class Interruption:
    """Whether somebody asked for the end."""

    requested: bool = False


@contextmanager
def ending_on_interrupt(terminate: Callable[[], None], before_exit: Callable[[], object]) -> Iterator[Interruption]:
    """Call `terminate` on the first SIGINT or SIGTERM; on the second call `before_exit` and leave without cleaning up.

    Worker processes of a local cluster notice the end of this process and end too. Main thread only.
    """
    interruption = Interruption()

    def handle(number: int, frame: FrameType | None) -> None:
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
