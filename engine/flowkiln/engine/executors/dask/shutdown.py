"""Shut down a worker: interrupt its bodies, and end the processes that they started."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from threading import Thread

from distributed import Client, Worker, WorkerPlugin

from flowkiln.common.event_loops import give_each_thread_a_loop
from flowkiln.common.processes import adopt_orphans
from flowkiln.engine.bodies import registry, shutdown

_NOTIFY_TIMEOUT = 2.0
"""Seconds to wait for notifying the workers of the end of a run."""


class WorkerProcessPlugin(WorkerPlugin):  # type: ignore[misc]
    """Prepares a worker process for bodies: event loops in all threads, and cleanup of leftover processes.

    A worker within another program's process changes nothing there.
    """

    name = "flowkiln-worker-process"
    idempotent = True

    def setup(self, worker: Worker) -> None:
        """Prepare the process; called by Dask when the plugin arrives at a worker."""
        if worker.nanny:
            adopt_orphans()
            give_each_thread_a_loop()

    async def teardown(self, worker: Worker) -> None:
        """End bodies and their processes; called by Dask when the worker closes."""
        if worker.nanny:
            await asyncio.to_thread(shutdown.shut_down_all_runs)
        elif await asyncio.to_thread(shutdown.wait_for_unstopped):
            # Dask would wait for its threads, half a minute and longer.
            worker.executors["default"]._threads.clear()


async def _end_run(run_id: str, dask_worker: Worker) -> None:
    if dask_worker.nanny:
        await asyncio.to_thread(shutdown.shut_down_run, run_id)
    else:
        registry.interrupt(run_id)


def end_run_on_workers(client: Client, run_id: str) -> None:
    """End the bodies of a run on all workers, without waiting for the bodies or for unresponsive workers."""

    def notify() -> None:
        with suppress(Exception):  # the cluster, with its bodies, may be gone
            client.run(_end_run, run_id, wait=False, on_error="ignore")

    thread = Thread(target=notify, name="flowkiln-end-run", daemon=True)
    thread.start()
    thread.join(_NOTIFY_TIMEOUT)
