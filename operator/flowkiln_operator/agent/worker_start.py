"""A preload of the workers' nannies: wait for the scheduler, however long its start takes, and get ready meanwhile.

Without the wait a nanny ends with an error when the scheduler cannot be reached for 30 seconds, and at once when a
connection is accepted and closed again, as happens while a Service gets its first endpoint. Kubernetes then restarts
the container and waits longer each time.

The imports of a worker take longer than anything else in its start. Where Dask forks its workers from a server
process, that process is started before the wait, and has imported everything when the scheduler is there.
"""

from __future__ import annotations

import multiprocessing
import os
from multiprocessing import forkserver

import dask
from distributed import Nanny, utils

from flowkiln_operator.agent.scheduler import SchedulerLink

FORKSERVER = "forkserver"
IMPORTS = "flowkiln_operator.agent.worker_imports"


async def dask_setup(nanny: Nanny) -> None:
    """Wait for the scheduler; called by Dask before the nanny's first connection."""
    if dask.config.get("distributed.worker.multiprocessing-method") == FORKSERVER:
        start_fork_server(nanny.pre_spawn_env)
    await SchedulerLink(nanny.scheduler.addr).wait_for_identity()


def start_fork_server(environment: dict[str, str]) -> None:
    """Start the process that workers are forked from, with the variables that Dask wants set before Python starts."""
    os.environ.update(environment)
    # Dask's own list has whatever of numpy and pandas is installed, and imports it here too, needed or not.
    utils._forkserver_preload_set = True
    multiprocessing.get_context(FORKSERVER).set_forkserver_preload([IMPORTS])
    forkserver.ensure_running()
