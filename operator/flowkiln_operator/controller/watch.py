"""Lists and watches the kinds that the controller needs, and reconnects after every failure."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Protocol

import aiohttp

from flowkiln.api import API_VERSION
from flowkiln.api.names import CLASS_LABEL, FLOW_KIND, FLOW_RUN_KIND, RUN_LABEL
from flowkiln_operator.controller.api import ApiError, KubernetesApi, Selection
from flowkiln_operator.controller.cache import Cache
from flowkiln_operator.controller.table import Document, Scope, key_of, version_of
from flowkiln_operator.controller.work_queue import Key
from flowkiln_operator.resources import dask_cluster

logger = logging.getLogger(__name__)

BACKOFFS = (0.2, 1.0, 1.0, 2.0, 3.0, 5.0)
"""Seconds before each retry; the last one repeats."""
GONE = 410
UNREADABLE = (401, 403, 404)


class Sink(Protocol):
    """Receives the objects of a kind. Table is one."""

    def take(self, document: Document) -> None:
        """Store a new or changed object."""

    def lose(self, document: Document) -> None:
        """Remove a deleted object."""

    def reached(self, scope: Scope, version: int) -> None:
        """Record that everything up to this version has been shown."""

    def listed(self, scope: Scope, keys: set[Key], version: int) -> None:
        """Remove what a complete list of this version lacks."""

    def drop(self, scope: Scope) -> None:
        """Remove everything of a scope that cannot be read."""


@dataclass(frozen=True, slots=True)
class Watch:
    """A selection of objects, and the sink that receives them."""

    selection: Selection
    sink: Sink

    async def follow(self, api: KubernetesApi, scope: Scope) -> None:
        """List, then watch without end. List again when the API server no longer has the events in between.

        Only programming errors raise.
        """
        version, failures = "", 0
        while True:
            problem = ""
            try:
                if not version:
                    version = await self._list(api, scope)
                async with aclosing(api.watch(self.selection, scope, version)) as events:
                    async for event in events:
                        version = self._take(scope, event)
                        failures = 0
            except ApiError as error:
                problem = f"{error.status} {error.message}"
                if error.status in (GONE, *UNREADABLE) or failures >= len(BACKOFFS):
                    version = ""
                if error.status in UNREADABLE:
                    self.sink.drop(scope)
            except (aiohttp.ClientError, TimeoutError, OSError) as error:
                problem = f"{type(error).__name__}: {error}"
            failures = failures + 1 if problem else 0
            if problem:
                where = {"kind": self.selection.kind, "namespace": scope or "all"}
                logger.warning("a watch has ended and is tried again: %s", problem, extra=where)
            # The pause also follows an orderly end, in case the API server ends every watch at once.
            await asyncio.sleep(BACKOFFS[min(max(failures, 1), len(BACKOFFS)) - 1])

    async def _list(self, api: KubernetesApi, scope: Scope) -> str:
        keys: set[Key] = set()
        version = ""
        async for page in api.pages(self.selection, scope):
            version = page["metadata"]["resourceVersion"]
            for document in page.get("items") or ():
                keys.add(key_of(document))
                self.sink.take(document)
        self.sink.listed(scope, keys, int(version))
        return version

    def _take(self, scope: Scope, event: dict[str, Any]) -> str:
        document = event["object"]
        match event["type"]:
            case "ADDED" | "MODIFIED":
                self.sink.take(document)
            case "DELETED":
                self.sink.lose(document)
            case "ERROR":
                raise ApiError(document.get("code", 0), document.get("reason", ""), document.get("message", ""))
        self.sink.reached(scope, version_of(document))
        version: str = document["metadata"]["resourceVersion"]
        return version


@dataclass(frozen=True, slots=True)
class FlowSink:
    """Receives Flows and keeps nothing: a change of a Flow only concerns the runs that wait for it."""

    cache: Cache

    def take(self, document: Document) -> None:
        """Reconcile the runs that wait for this Flow."""
        self.cache.flow_changed(document)

    def lose(self, document: Document) -> None:
        """Reconcile the runs that wait for this Flow: their status mentions it."""
        self.cache.flow_changed(document)

    def reached(self, scope: Scope, version: int) -> None:
        """Do nothing."""

    def listed(self, scope: Scope, keys: set[Key], version: int) -> None:
        """Do nothing."""

    def drop(self, scope: Scope) -> None:
        """Do nothing."""


def watches(cache: Cache, run_class: str | None) -> tuple[Watch, ...]:
    """Return all watches. FlowRuns are those of this class, or those without a class if it is None."""
    of_class = f"{CLASS_LABEL}={run_class}" if run_class else f"!{CLASS_LABEL}"
    return (
        Watch(Selection(API_VERSION, FLOW_RUN_KIND, of_class), cache.flow_runs),
        Watch(Selection(API_VERSION, FLOW_KIND, metadata_only=True), FlowSink(cache)),
        Watch(
            Selection(dask_cluster.API_VERSION, dask_cluster.KIND, RUN_LABEL, metadata_only=True), cache.dask_clusters
        ),
        Watch(Selection("v1", "Pod", RUN_LABEL), cache.pods),
        Watch(Selection("apps/v1", "Deployment", RUN_LABEL), cache.deployments),
    )


async def watch_all(api: KubernetesApi, cache: Cache, run_class: str | None, namespaces: Sequence[str]) -> None:
    """Watch these namespaces, or all. A namespace that appears later is watched from then on."""
    async with asyncio.TaskGroup() as group:
        for watch in watches(cache, run_class):
            for scope in namespaces or (None,):
                group.create_task(watch.follow(api, scope))
