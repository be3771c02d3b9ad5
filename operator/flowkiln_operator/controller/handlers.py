"""The edge to kopf: its watches fill the cache. Nothing is decided and nothing is written here.

All handlers are indexes and `on.event`, for which kopf writes nothing: no annotation, no finalizer, no status.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import kopf

from flowkiln.api import API_VERSION, GROUP, VERSION
from flowkiln.api.names import CLASS_LABEL, FLOW_RUN_KIND, FLOWS, RUN_LABEL
from flowkiln_operator.controller.api import PLURALS
from flowkiln_operator.controller.cache import Cache
from flowkiln_operator.controller.table import Document, Scope, Table, version_of
from flowkiln_operator.kopf_networking import ERROR_BACKOFFS
from flowkiln_operator.resources import dask_cluster

WATCH_SECONDS = 300
CHUNK_SIZE = 20
"""Objects in one page of a list. Parsing a page blocks the event loop, and a FlowRun may have a megabyte."""
LISTED = "listed"
"""Name of the mark that is left at an object when a list has shown it."""


class NoDiff(kopf.DiffBaseStorage):
    """Keeps no last state of objects. kopf would copy and compare each of them whole, and nothing here needs that."""

    def build(self, *, body: Any, extra_fields: Any = None, ignored_fields: Any = None) -> Any:
        """Return an empty essence."""
        return {}

    def fetch(self, *, body: Any) -> Any:
        """Return None: no last state is kept."""
        return None

    def store(self, *, body: Any, patch: Any, essence: Any) -> None:
        """Do nothing."""


@dataclass(frozen=True, slots=True)
class Watched:
    """A kind of which a table is kept, and the selector of the objects that are watched."""

    api_version: str
    kind: str
    labels: str
    table: Table[Any]

    @property
    def resource(self) -> tuple[str, str, str]:
        """Group, version and plural, as kopf takes them."""
        group, _, version = self.api_version.rpartition("/")
        return group, version, PLURALS[self.api_version, self.kind]


def watched_kinds(cache: Cache, run_class: str | None) -> tuple[Watched, ...]:
    """Return the kinds with a table. FlowRuns are those of this class, or those without a class if it is None."""
    of_class = f"{CLASS_LABEL}={run_class}" if run_class else f"!{CLASS_LABEL}"
    return (
        Watched(API_VERSION, FLOW_RUN_KIND, of_class, cache.flow_runs),
        Watched(dask_cluster.API_VERSION, dask_cluster.KIND, RUN_LABEL, cache.dask_clusters),
        Watched("v1", "Pod", RUN_LABEL, cache.pods),
        Watched("apps/v1", "Deployment", RUN_LABEL, cache.deployments),
    )


def make_registry(
    cache: Cache,
    kinds: tuple[Watched, ...],
    scope_of: Callable[[str], Scope],
    on_relist: Callable[[], None],
) -> kopf.OperatorRegistry:
    """Return kopf's handlers, bound to this cache.

    `scope_of` returns the scope whose watch shows the objects of a namespace. `on_relist` is called when kopf has lost
    events and lists a kind again.
    """
    registry = kopf.OperatorRegistry()

    @kopf.on.login(registry=registry)
    def login(**arguments: Any) -> kopf.ConnectionInfo | None:
        return kopf.login_with_service_account(**arguments) or kopf.login_with_kubeconfig(**arguments)

    for kind in kinds:
        _follow(registry, cache, kind, scope_of, on_relist)

    @kopf.on.event(GROUP, VERSION, FLOWS, registry=registry)
    async def on_flow(event: Any, **_: Any) -> None:
        cache.flow_changed(event["object"])

    return registry


def _follow(
    registry: kopf.OperatorRegistry,
    cache: Cache,
    kind: Watched,
    scope_of: Callable[[str], Scope],
    on_relist: Callable[[], None],
) -> None:
    table = kind.table

    # kopf calls no handler of any kind before every kind has been listed and indexed.
    @kopf.index(*kind.resource, registry=registry, id=f"{kind.kind}-table")
    async def take(body: kopf.Body, **_: Any) -> None:
        table.take(dict(body))

    @kopf.on.event(*kind.resource, registry=registry, id=f"{kind.kind}-event")
    async def on_event(event: Any, memo: kopf.Memo, **_: Any) -> None:
        document: Document = event["object"]
        cache.complete()
        if event["type"] == "DELETED":
            table.lose(document)
        elif event["type"] is None:
            if LISTED in memo:
                on_relist()
            memo[LISTED] = True
        table.reached(scope_of(document["metadata"]["namespace"]), version_of(document))


def make_settings(kinds: tuple[Watched, ...]) -> kopf.OperatorSettings:
    """Return kopf's settings: the API server filters what is watched."""
    settings = kopf.OperatorSettings()
    settings.peering.standalone = True
    settings.posting.enabled = False
    # dask-kubernetes is made with kopf too. By its default name kopf would take the finalizer on a DaskCluster for one
    # of ours that is no longer needed, and remove it. By this name it never sets one either.
    settings.persistence.finalizer = f"{GROUP}/unused"
    settings.persistence.diffbase_storage = NoDiff()
    settings.watching.server_timeout = WATCH_SECONDS
    settings.watching.chunk_size = CHUNK_SIZE
    settings.networking.error_backoffs = ERROR_BACKOFFS
    for kind in kinds:
        settings.watching.label_selectors[kind.resource] = kind.labels
    return settings
