"""Look at everything that concerns one run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

from flowkiln.api import API_VERSION
from flowkiln.api.names import RUN_LABEL
from flowkiln_operator.controller import views
from flowkiln_operator.controller.api import KubernetesApi
from flowkiln_operator.controller.memory import Memory
from flowkiln_operator.controller.snapshot import (
    Admission,
    DaskClusterView,
    FlowView,
    PlanProblem,
    PodView,
    RunView,
    Snapshot,
    has_ready_worker,
)
from flowkiln_operator.resources import dask_cluster
from flowkiln_operator.resources.plan import PlanWithSources


def now() -> datetime:
    """Return the time, in whole seconds as a status holds them."""
    return datetime.now(UTC).replace(microsecond=0)


async def gather(
    api: KubernetesApi,
    memory: Memory,
    namespace: str,
    name: str,
    *,
    run_class: str | None = None,
    clock: Callable[[], datetime] = now,
) -> Snapshot | None:
    """Return what is so about the FlowRun of this name, for an operator of this class; None when there is none.

    The FlowRun is read first: whatever is read later can only be newer, and every write of a status names the
    resourceVersion that was read here.
    """
    document = await api.get(API_VERSION, "FlowRun", namespace, name)
    if document is None:
        return None
    run = views.run_view(document)
    bare = Snapshot(now=clock(), run=run, run_class=run_class)
    if run.deleting or bare.is_foreign:
        return bare
    if run.status.state is not None and run.status.state.is_terminal:
        return replace(bare, plan=await _plan(api, memory, run), cluster=await _dask_cluster(api, run))
    cluster = await _dask_cluster(api, run)
    starting = not run.report.is_claimed
    pods = await _pods(api, run) if run.status.cluster else ()
    lacks_workers = starting or not has_ready_worker(pods, clock())
    failures = await _replica_failures(api, run) if lacks_workers and run.status.cluster else []
    plan = await _plan(api, memory, run)
    flow = await _flow(api, run) if starting else None
    return replace(
        bare,
        now=clock(),
        flow=flow,
        admission=memory.admission(run, flow) if plan is None and starting else Admission(),
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
    document = await api.get("v1", "ConfigMap", run.identity.namespace, run.identity.plan_name)
    if document is None:
        return None
    plan = views.plan_view(document, run.identity)
    if isinstance(plan, PlanWithSources):
        memory.keep_plan(run.identity, plan)
    return plan


async def _dask_cluster(api: KubernetesApi, run: RunView) -> DaskClusterView | None:
    if run.status.cluster is None:
        return None
    namespace, name = run.identity.namespace, run.status.cluster.name
    document = await api.get(dask_cluster.API_VERSION, dask_cluster.KIND, namespace, name)
    return views.dask_cluster_view(document, run.identity) if document is not None else None


async def _pods(api: KubernetesApi, run: RunView) -> tuple[PodView, ...]:
    found = await api.list("v1", "Pod", run.identity.namespace, labels=f"{RUN_LABEL}={run.identity.base}")
    return tuple(views.pod_view(document) for document in found)


async def _replica_failures(api: KubernetesApi, run: RunView) -> list[str | None]:
    labels = f"{RUN_LABEL}={run.identity.base}"
    found = await api.list("apps/v1", "Deployment", run.identity.namespace, labels=labels)
    return [views.replica_failure(document) for document in found]
