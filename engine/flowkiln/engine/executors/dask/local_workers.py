"""Keeps up the number of workers of a local cluster.

A worker process that dies is started again by its nanny. But a nanny whose worker dies while it still starts gives up,
and a local cluster does not replace it: after a few tasks that end their process, nobody would be left to run anything.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from distributed import Client, SpecCluster
from distributed.core import Status
from tornado.ioloop import PeriodicCallback

INTERVAL = 1.0
"""Seconds between two looks at the workers."""


@contextmanager
def replaced_workers(client: Client) -> Iterator[None]:
    """Replace, inside the block, workers of the client's own cluster that were given up."""
    cluster = client.cluster
    if not isinstance(cluster, SpecCluster):
        yield
        return

    def poll() -> None:
        if cluster.status == Status.running and len(cluster.workers) < len(cluster.worker_spec):
            cluster.scale(len(cluster.worker_spec))

    callback = PeriodicCallback(poll, INTERVAL * 1000)
    client.loop.add_callback(callback.start)
    try:
        yield
    finally:
        client.loop.add_callback(callback.stop)
