"""Collect everything about one run."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

from flowkiln.api import API_VERSION
from flowkiln.api.reasons import RunState
from flowkiln_operator.controller import views
from flowkiln_operator.controller.api import KubernetesApi
from flowkiln_operator.controller.memory import Memory
from flowkiln_operator.controller.snapshot import (
    Admission,
    DaskClusterView,
    FlowView,
    PlanProblem,
    RunView,
    Snapshot,
    has_ready_worker,
)
from flowkiln_operator.controller.sources import Source
from flowkiln_operator.resources.plan import PlanWithSources


def now() -> datetime:
    """Return the current time in whole seconds, as in a status."""
    return datetime.now(UTC).replace(microsecond=0)


async def gather(
    source: Source,
    api: KubernetesApi,
    memory: Memory,
    namespace: str,
    name: str,
    *,
    run_class: str | None = None,
    clock: Callable[[], datetime] = now,
) -> Snapshot | None:
    """Return the snapshot of the FlowRun with this name, for an operator of this class; None if there is none.

    Every write of a status carries the resourceVersion of the FlowRun that was read here. Flow and plan come from the
    API server; each is read once for a run.
    """
    document = await source.flow_run(namespace, name)
    if document is None:
        return None
    run = views.run_view(document, memory.spec)
    bare = Snapshot(now=clock(), run=run, run_class=run_class)
    if run.deleting or bare.is_foreign:
        return bare
    cluster = await _dask_cluster(source, run)
    if run.status.state is not None and run.status.state.is_terminal:
        # A finished run needs its plan only for the time that the cluster of a failed run is retained.
        kept = cluster is not None and run.status.state in (RunState.FAILED, RunState.CRASHED)
        return replace(bare, plan=await _plan(api, memory, run) if kept else None, cluster=cluster)
    starting = not run.report.is_claimed
    pods = await source.pods(run.identity) if run.status.cluster else ()
    lacks_workers = starting or not has_ready_worker(pods, clock())
    failures = await source.replica_failures(run.identity) if lacks_workers and run.status.cluster else []
    plan = await _plan(api, memory, run)
    flow = await _flow(api, run) if starting and not isinstance(plan, PlanWithSources) else None
    admission = Admission()
    if plan is None and starting:
        # Reading and checking are bounded each; others get their turn in between.
        await asyncio.sleep(0)
        admission = memory.admission(run, flow)
        await asyncio.sleep(0)
    return replace(
        bare,
        now=clock(),
        flow=flow,
        admission=admission,
        plan=plan,
        cluster=cluster,
        pods=pods,
        deployments=len(failures),
        replica_failures=tuple(failure for failure in failures if failure),
        rejection=memory.rejection(run.identity),
    )


async def _flow(api: KubernetesApi, run: RunView) -> FlowView | None:
    if run.spec is None or run.spec.flow_ref is None:
        return views.inline_flow_view(run)
    document = await api.get(API_VERSION, "Flow", run.identity.namespace, run.spec.flow_ref.name)
    return views.flow_view(document) if document is not None else None


async def _plan(api: KubernetesApi, memory: Memory, run: RunView) -> PlanWithSources | PlanProblem | None:
    if (known := memory.plan(run.identity)) is not None:
        return known
    if run.status.plan is None and not memory.has_plan(run.identity):
        # According to the status there is none. If it exists, its creation fails, and it is read then.
        return None
    document = await api.get("v1", "ConfigMap", run.identity.namespace, run.identity.plan_name)
    if document is None:
        return None
    plan = views.plan_view(document, run.identity)
    if isinstance(plan, PlanWithSources):
        memory.keep_plan(run.identity, plan)
    return plan


async def _dask_cluster(source: Source, run: RunView) -> DaskClusterView | None:
    if run.status.cluster is None:
        return None
    document = await source.dask_cluster(run.identity.namespace, run.status.cluster.name)
    return views.dask_cluster_view(document, run.identity) if document is not None else None
