"""The whole controller but for its process: watches, queue, looks, on a server that a test has."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

from flowkiln_operator.controller.cache import Cache
from flowkiln_operator.controller.memory import Memory
from flowkiln_operator.controller.metrics import Metrics
from flowkiln_operator.controller.reconcile import Reconciler
from flowkiln_operator.controller.watch import watch_all
from flowkiln_operator.controller.work_queue import Key, WorkQueue
from flowkiln_operator.resources.dask_cluster import ClusterConfig

from .api_server import ApiServer, connect


@dataclass
class Operator:
    """What a running controller holds."""

    cache: Cache
    memory: Memory
    queue: WorkQueue
    errors: list[Exception] = field(default_factory=list)


async def until(what: Callable[[], bool]) -> None:
    """Wait until something holds."""
    async with asyncio.timeout(20):
        while not what():  # noqa: ASYNC110  what is waited for is no event
            await asyncio.sleep(0.01)


@asynccontextmanager
async def operating(server: ApiServer, namespaces: Sequence[str] = ()) -> AsyncIterator[Operator]:
    """Have a controller at work for the length of a `with` block."""
    errors: list[Exception] = []

    def on_error(_key: Key, error: Exception) -> None:
        errors.append(error)

    cache, memory = Cache(lambda key: queue.add(key)), Memory()
    async with connect(server, cache.learn) as api:
        reconciler = Reconciler(api, cache, memory, ClusterConfig("runtime:1"), Metrics(), None)
        queue = WorkQueue(reconciler.reconcile, 4, on_error)
        tasks = [asyncio.create_task(watch_all(api, cache, None, namespaces)), asyncio.create_task(queue.run())]
        operator = Operator(cache, memory, queue, errors)
        try:
            yield operator
        finally:
            for task in tasks:
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task
