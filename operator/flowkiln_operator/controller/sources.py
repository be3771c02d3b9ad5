"""Sources of a snapshot: the cache of the watches, or the API server."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from flowkiln.api import API_VERSION
from flowkiln.api.names import FLOW_RUN_KIND, RUN_LABEL
from flowkiln_operator.controller import views
from flowkiln_operator.controller.api import KubernetesApi
from flowkiln_operator.controller.cache import Cache
from flowkiln_operator.controller.snapshot import PodView
from flowkiln_operator.controller.table import Document
from flowkiln_operator.resources import dask_cluster
from flowkiln_operator.resources.run import RunIdentity


class Source(Protocol):
    """Reads a run and the objects of its cluster."""

    async def flow_run(self, namespace: str, name: str) -> Document | None:
        """Return the FlowRun; None when there is none."""

    async def dask_cluster(self, namespace: str, name: str) -> Document | None:
        """Return the DaskCluster, its metadata at least; None when there is none."""

    async def pods(self, run: RunIdentity) -> tuple[PodView, ...]:
        """Return the pods of a run."""

    async def replica_failures(self, run: RunIdentity) -> list[str | None]:
        """Return for each Deployment of a run why it cannot create pods; None when it can."""


@dataclass(frozen=True, slots=True)
class Cached:
    """Reads from the cache, which may lag behind. The document of a settled run is read from the API server."""

    cache: Cache
    api: KubernetesApi

    async def flow_run(self, namespace: str, name: str) -> Document | None:
        """Return the FlowRun; read it again if the cache is known to be out of date."""
        key = namespace, name
        known = self.cache.run(key)
        if known is None:
            return None
        if self.cache.take_doubt(key) or known.document is None:
            return await self.api.get(API_VERSION, FLOW_RUN_KIND, namespace, name)
        return known.document

    async def dask_cluster(self, namespace: str, name: str) -> Document | None:
        """Return the DaskCluster's metadata."""
        return self.cache.dask_cluster(namespace, name)

    async def pods(self, run: RunIdentity) -> tuple[PodView, ...]:
        """Return the pods."""
        return self.cache.pods_of(run)

    async def replica_failures(self, run: RunIdentity) -> list[str | None]:
        """Return the failures of the Deployments."""
        return self.cache.replica_failures_of(run)


@dataclass(frozen=True, slots=True)
class Direct:
    """Reads from the API server."""

    api: KubernetesApi

    async def flow_run(self, namespace: str, name: str) -> Document | None:
        """Read the FlowRun."""
        return await self.api.get(API_VERSION, FLOW_RUN_KIND, namespace, name)

    async def dask_cluster(self, namespace: str, name: str) -> Document | None:
        """Read the DaskCluster."""
        return await self.api.get(dask_cluster.API_VERSION, dask_cluster.KIND, namespace, name)

    async def pods(self, run: RunIdentity) -> tuple[PodView, ...]:
        """List the pods."""
        found = await self.api.list("v1", "Pod", run.namespace, labels=f"{RUN_LABEL}={run.base}")
        return tuple(views.pod_view(document) for document in found)

    async def replica_failures(self, run: RunIdentity) -> list[str | None]:
        """List the Deployments."""
        found = await self.api.list("apps/v1", "Deployment", run.namespace, labels=f"{RUN_LABEL}={run.base}")
        return [views.replica_failure(document) for document in found]
