"""End the bodies of this process and the processes that they started, when their run is over.

First the bodies are interrupted. A body that still runs after `GRACE_PERIOD` seconds usually waits for a process that
it started: such processes get SIGTERM, and SIGKILL after another `GRACE_PERIOD`.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Collection

from flowkiln.common.processes import end_descendants
from flowkiln.engine.bodies import registry

GRACE_PERIOD = 1.5
"""Seconds for bodies to end, and again for processes after SIGTERM. Dask kills a worker after 4 s in total."""

_POLL_INTERVAL = 0.02
_FINAL_GRACE_PERIOD = 0.3
"""Seconds for bodies to end once the processes that they may have waited for are gone."""

logger = logging.getLogger(__name__)


def shut_down_run(run_id: str, spared: Collection[int] = ()) -> None:
    """End the bodies of a run, and all processes that this one started if bodies waited for them.

    Processes whose ids are in `spared` are kept, and all processes are if bodies of another run are running here.
    """
    registry.interrupt(run_id)
    if registry.wait_until_ended(GRACE_PERIOD, run_id) or registry.running().keys() - registry.running(run_id).keys():
        return
    end_descendants(GRACE_PERIOD, spared)
    registry.interrupt(run_id)


def shut_down_all_runs() -> None:
    """End all bodies, and all processes that this one started."""
    registry.interrupt()
    registry.wait_until_ended(GRACE_PERIOD)
    end_descendants(GRACE_PERIOD)
    registry.interrupt()
    registry.wait_until_ended(_FINAL_GRACE_PERIOD)


def wait_for_unstopped() -> list[str]:
    """Wait for the bodies whose runs are over; log those that continue, and return their names."""
    deadline = time.monotonic() + 2 * GRACE_PERIOD
    while (left := registry.unstopped()) and time.monotonic() < deadline:
        time.sleep(_POLL_INTERVAL)
    for name in left:
        logger.warning("The body of %s cannot be stopped. Its thread is left behind; nothing waits for it.", name)
    return left
