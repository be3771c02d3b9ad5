"""The edge to kopf: watches, and nothing else. Events only say which run to look at.

All handlers are of the kind `on.event`, for which kopf writes nothing: no annotation, no finalizer, no status.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import kopf

from flowkiln.api import GROUP, VERSION
from flowkiln.api.names import CLASS_LABEL, FLOW_RUNS, FLOWS, RUN_LABEL
from flowkiln_operator.controller.watched import Watched, key_of, run_of
from flowkiln_operator.controller.work_queue import WorkQueue
from flowkiln_operator.kopf_networking import ERROR_BACKOFFS

WATCH_SECONDS = 300


def make_registry(queue: WorkQueue, watched: Watched) -> kopf.OperatorRegistry:
    """Return kopf's handlers, bound to this queue."""
    registry = kopf.OperatorRegistry()

    @kopf.on.login(registry=registry)
    def login(**arguments: Any) -> kopf.ConnectionInfo | None:
        return kopf.login_with_service_account(**arguments) or kopf.login_with_kubeconfig(**arguments)

    @kopf.on.event(GROUP, VERSION, FLOW_RUNS, registry=registry)
    async def on_flow_run(event: Mapping[str, Any], **_: Any) -> None:
        document = event["object"]
        if event["type"] == "DELETED":
            watched.lose_run(document)
            queue.add(key_of(document))
        elif watched.see_run(document):
            queue.add(key_of(document))

    @kopf.on.event(GROUP, VERSION, FLOWS, registry=registry)
    async def on_flow(event: Mapping[str, Any], **_: Any) -> None:
        for key in watched.waiting_for(event["object"]):
            queue.add(key)

    async def on_child(event: Mapping[str, Any], **_: Any) -> None:
        # A run of another class is not seen here; one that is seen later is looked at then.
        if (key := run_of(event["object"])) is not None and watched.knows(key):
            queue.add(key)

    kopf.on.event("kubernetes.dask.org", "v1", "daskclusters", registry=registry)(on_child)
    kopf.on.event("", "v1", "pods", registry=registry)(on_child)
    return registry


def make_settings(run_class: str | None) -> kopf.OperatorSettings:
    """Return kopf's settings: the API server filters what is watched.

    Of FlowRuns those of this class, or those without any; of pods and DaskClusters those of runs.
    """
    settings = kopf.OperatorSettings()
    settings.peering.standalone = True
    settings.posting.enabled = False
    # dask-kubernetes is made with kopf too. By its default name kopf would take the finalizer on a DaskCluster for one
    # of ours that is no longer needed, and remove it. By this name it never sets one either.
    settings.persistence.finalizer = f"{GROUP}/unused"
    settings.watching.server_timeout = WATCH_SECONDS
    settings.networking.error_backoffs = ERROR_BACKOFFS
    of_class = f"{CLASS_LABEL}={run_class}" if run_class else f"!{CLASS_LABEL}"
    settings.watching.label_selectors[GROUP, VERSION, FLOW_RUNS] = of_class
    settings.watching.label_selectors["", "v1", "pods"] = RUN_LABEL
    settings.watching.label_selectors["kubernetes.dask.org", "v1", "daskclusters"] = RUN_LABEL
    return settings
