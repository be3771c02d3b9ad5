"""Lists and watches the kinds that the controller needs, and keeps at it whatever becomes of the connection."""

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
"""Seconds between tries; the last one again and again."""
GONE = 410
UNREADABLE = (401, 403, 404)


class Sink(Protocol):
    """What takes the objects of a kind. A Table does."""

    def take(self, document: Document) -> None:
        """Take an object that is there or has changed."""

    def lose(self, document: Document) -> None:
        """Take an object that is gone."""

    def reached(self, scope: Scope, version: int) -> None:
        """Everything up to this version has been shown."""

    def listed(self, scope: Scope, keys: set[Key], version: int) -> None:
        """A list of this version is complete: what it does not have is gone."""

    def drop(self, scope: Scope) -> None:
        """The scope cannot be read."""


@dataclass(frozen=True, slots=True)
class Watch:
    """Which objects are watched, and what takes them."""

    selection: Selection
    sink: Sink

    async def follow(self, api: KubernetesApi, scope: Scope) -> None:
        """List once, then watch for ever; list again when the API server cannot tell what has happened since.

        Raises only what is a mistake of this program.
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
                if error.status in (GONE, *UNREADABLE):
                    version = ""
                if error.status in UNREADABLE:
                    self.sink.drop(scope)
            except (aiohttp.ClientError, TimeoutError, OSError) as error:
                problem = f"{type(error).__name__}: {error}"
            failures = failures + 1 if problem else 0
            if problem:
                where = {"kind": self.selection.kind, "namespace": scope or "all"}
                logger.warning("a watch has ended and is tried again: %s", problem, extra=where)
            # A pause after an orderly end too, should the API server end each watch at once.
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
    """Takes Flows, of which nothing is kept: they only concern the runs that wait for them."""

    cache: Cache

    def take(self, document: Document) -> None:
        """Have the runs looked at that wait for this Flow."""
        self.cache.flow_changed(document)

    def lose(self, document: Document) -> None:
        """Do the same: a run that waits is told that its Flow is gone."""
        self.cache.flow_changed(document)

    def reached(self, scope: Scope, version: int) -> None:
        """Nothing is kept."""

    def listed(self, scope: Scope, keys: set[Key], version: int) -> None:
        """Nothing is kept."""

    def drop(self, scope: Scope) -> None:
        """Nothing is kept."""


def watches(cache: Cache, run_class: str | None) -> tuple[Watch, ...]:
    """Return what is watched: FlowRuns of this class, or those without any; of runs, what decisions rest on."""
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
    """Watch in these namespaces, or everywhere; one that does not exist yet is watched as soon as it does."""
    async with asyncio.TaskGroup() as group:
        for watch in watches(cache, run_class):
            for scope in namespaces or (None,):
                group.create_task(watch.follow(api, scope))
