"""Shorten message intervals on Flowkiln's own clusters.

Dask batches messages for 2 to 10 ms before it sends them, which is most of the cost of a short task run. One
millisecond still batches simultaneous messages.
"""

from __future__ import annotations

from typing import Any

from distributed import Client, Scheduler, SchedulerPlugin, Worker, WorkerPlugin

INTERVAL = 0.001
"""Seconds between two sends on one connection."""


class QuickScheduler(SchedulerPlugin):  # type: ignore[misc]
    """Shortens the scheduler's message intervals to workers and clients."""

    name = "flowkiln-quick-scheduler"
    idempotent = True

    async def start(self, scheduler: Scheduler) -> None:
        """Shorten all intervals; called by Dask when the plugin arrives."""
        for stream in (*scheduler.stream_comms.values(), *scheduler.client_comms.values()):
            stream.interval = INTERVAL

    def add_worker(self, scheduler: Scheduler, worker: str) -> None:
        """Shorten the interval to a worker; called by Dask for each new worker."""
        scheduler.stream_comms[worker].interval = INTERVAL

    def add_client(self, scheduler: Scheduler, client: str) -> None:
        """Shorten the interval to a client; called by Dask for each new client, perhaps before it is connected."""
        stream = scheduler.client_comms.get(client)
        if stream is not None:
            stream.interval = INTERVAL


class QuickWorker(WorkerPlugin):  # type: ignore[misc]
    """Shortens a worker's message interval to the scheduler."""

    name = "flowkiln-quick-worker"
    idempotent = True

    def setup(self, worker: Worker) -> None:
        """Shorten the interval; called by Dask when the plugin arrives at a worker."""
        worker.batched_stream.interval = INTERVAL


def tune(client: Client) -> None:
    """Shorten the message intervals of a client's whole cluster."""
    client.register_plugin(QuickScheduler())
    client.register_plugin(QuickWorker())
    stream: Any = client.scheduler_comm
    stream.interval = INTERVAL
