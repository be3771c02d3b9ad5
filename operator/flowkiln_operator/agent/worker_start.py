"""A preload of the workers' nannies: wait for the scheduler, however long its start takes.

Without it a nanny ends with an error when the scheduler cannot be reached for 30 seconds, and at once when a connection
is accepted and closed again, as happens while a Service gets its first endpoint. Kubernetes then restarts the container
and waits longer each time.
"""

from __future__ import annotations

from distributed import Nanny

from flowkiln_operator.agent.scheduler import SchedulerLink


async def dask_setup(nanny: Nanny) -> None:
    """Called by Dask before the nanny's first own connection."""
    await SchedulerLink(nanny.scheduler.addr).wait_for_identity()
