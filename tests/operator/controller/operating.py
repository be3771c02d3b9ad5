"""The whole controller but for its process: watches, queue, looks, on a server that a test has."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from tempfile import NamedTemporaryFile
from typing import Any

import pytest
import yaml

from flowkiln_operator.controller.cache import Cache
from flowkiln_operator.controller.main import watch
from flowkiln_operator.controller.memory import Memory
from flowkiln_operator.controller.metrics import Metrics
from flowkiln_operator.controller.reconcile import Reconciler
from flowkiln_operator.controller.work_queue import Key, WorkQueue
from flowkiln_operator.resources.dask_cluster import ClusterConfig

from .api_server import ApiServer, Request, connect


@dataclass
class Operator:
    """What a running controller holds."""

    cache: Cache
    memory: Memory
    queue: WorkQueue
    ready: asyncio.Event = field(default_factory=asyncio.Event)
    errors: list[Exception] = field(default_factory=list)


async def until(what: Callable[[], bool]) -> None:
    """Wait until something holds."""
    async with asyncio.timeout(20):
        while not what():  # noqa: ASYNC110  what is waited for is no event
            await asyncio.sleep(0.01)


@asynccontextmanager
async def operating(server: ApiServer, namespaces: Sequence[str] = ()) -> AsyncIterator[Operator]:
    """Run a controller for the length of a `with` block, which begins when it watches a first namespace."""
    errors: list[Exception] = []

    def on_error(_key: Key, error: Exception) -> None:
        errors.append(error)

    cache, memory = Cache(lambda key: queue.add(key)), Memory()
    with pytest.MonkeyPatch.context() as patch, NamedTemporaryFile("w", suffix=".yaml") as kubeconfig:
        yaml.safe_dump(_kubeconfig(server.host), kubeconfig)
        kubeconfig.flush()
        patch.setenv("KUBECONFIG", kubeconfig.name)
        async with connect(server, cache.learn) as api:
            reconciler = Reconciler(api, cache, memory, ClusterConfig("runtime:1"), Metrics(), None)
            queue = WorkQueue(reconciler.reconcile, 4, on_error)
            operator = Operator(cache, memory, queue, errors=errors)
            before = len(_watches(server))
            watching = asyncio.create_task(watch(api, cache, None, namespaces, operator.ready))
            working = asyncio.create_task(queue.run())
            await until(lambda: watching.done() or len(_watches(server)) - before >= 5)
            try:
                yield operator
            finally:
                for task in (watching, working):
                    task.cancel()
                    with suppress(asyncio.CancelledError):
                        await task


def _watches(server: ApiServer) -> list[Request]:
    kinds = ("flowruns", "flows", "daskclusters", "pods", "deployments")
    return [request for request in server.asked("watch") if request.resource in kinds]


def _kubeconfig(host: str) -> dict[str, Any]:
    return {
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
        "current-context": "test",
        "clusters": [{"name": "test", "cluster": {"server": host}}],
        "users": [{"name": "test", "user": {}}],
    }
