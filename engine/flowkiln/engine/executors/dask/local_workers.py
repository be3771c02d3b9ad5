"""Maintain the number of workers of a local cluster.

A nanny restarts its worker process. But a nanny whose worker dies during its start gives up, and a local cluster does
not replace it: after a few tasks that end their process no workers would be left.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from distributed import Client, SpecCluster
from distributed.core import Status
from tornado.ioloop import PeriodicCallback

INTERVAL = 1.0
"""Seconds between two polls of the workers."""


@contextmanager
def replaced_workers(client: Client) -> Iterator[None]:
    """Replace failed workers of the client's own cluster inside the block."""
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
