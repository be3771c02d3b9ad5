"""Start a run: fix its plan, and create its objects."""

from __future__ import annotations

from datetime import timedelta

from flowkiln.api.plan import Plan, PlanFlow, PlanRun
from flowkiln.api.reasons import Reason, RunState
from flowkiln.api.status import ClusterStatus, PlanStatus
from flowkiln_operator.controller.actions import Action, Actions, CreateChild, CreateDaskCluster, RequeueAt
from flowkiln_operator.controller.conditions import ClusterReady
from flowkiln_operator.controller.snapshot import PlanProblem, Rejection, RejectionKind, Snapshot
from flowkiln_operator.resources.network_policy import network_policy
from flowkiln_operator.resources.plan import PlanWithSources, plan_config_map
from flowkiln_operator.resources.rbac import role, role_binding, service_account

from . import outcome
from .times import times

TRY_AGAIN = timedelta(seconds=10)
STARTING = ClusterReady(False, Reason.CLUSTER_STARTING, "The Dask cluster is starting.")
MESSAGE = "The run's Dask cluster is starting."
FIRST_CLUSTER = 1


def give_up(snapshot: Snapshot) -> Actions | None:
    """End a run that cannot start: a name conflict, a foreign plan, or rejections for too long."""
    if snapshot.cluster is not None or snapshot.run.report.is_claimed:
        return None
    name = snapshot.run.identity.plan_name
    if snapshot.plan is PlanProblem.FOREIGN:
        message = f"There is a ConfigMap {name} already that does not belong to this run."
        return outcome.end(snapshot, RunState.CRASHED, Reason.NAME_CONFLICT, message)
    if snapshot.plan is PlanProblem.UNREADABLE:
        message = f"The plan in the ConfigMap {name} cannot be read: it was replaced."
        return outcome.end(snapshot, RunState.CRASHED, Reason.PLAN_CHANGED, message)
    return _give_up_when_rejected(snapshot, snapshot.rejection) if snapshot.rejection else None


def create_what_is_missing(snapshot: Snapshot) -> Actions | None:
    """Create the run's objects; None once its DaskCluster exists or existed."""
    if snapshot.cluster is not None or snapshot.had_cluster:
        return None
    fixed = snapshot.fixed_plan or _make_plan(snapshot)
    status = snapshot.run.status
    if fixed is None:
        return None
    if status.plan is not None and status.plan.sha256 != fixed.plan.sha256:
        message = f"The plan in the ConfigMap {status.plan.config_map} is gone, and the Flow has changed since."
        return outcome.end(snapshot, RunState.CRASHED, Reason.PLAN_CHANGED, message)
    if snapshot.rejection is not None and snapshot.now < (due := snapshot.rejection.last + TRY_AGAIN):
        return (*_report_rejection(snapshot), RequeueAt(due))
    again = RequeueAt(snapshot.now + TRY_AGAIN)
    create_cluster = CreateDaskCluster(status.cluster.number if status.cluster else FIRST_CLUSTER, fixed)
    if status.cluster is not None and snapshot.plan is not None:
        return (*_report_rejection(snapshot), create_cluster, again)
    started = outcome.write(
        snapshot,
        RunState.PENDING,
        Reason.CLUSTER_STARTING,
        MESSAGE,
        ready=STARTING,
        plan=_plan_status(snapshot, fixed),
        cluster=ClusterStatus(name=snapshot.run.identity.cluster_name(FIRST_CLUSTER), number=FIRST_CLUSTER),
    )
    return (*_report_rejection(snapshot), *_children(snapshot, fixed), *started, create_cluster, again)


def _give_up_when_rejected(snapshot: Snapshot, rejection: Rejection) -> Actions | None:
    if rejection.kind is RejectionKind.NAME_TAKEN:
        return outcome.end(snapshot, RunState.CRASHED, Reason.NAME_CONFLICT, rejection.message)
    if snapshot.now < rejection.since + times(snapshot).start_deadline:
        return None
    problem = _problem(rejection)
    return outcome.end(snapshot, RunState.CRASHED, problem.reason, problem.message, ready=problem)


def _report_rejection(snapshot: Snapshot) -> Actions:
    if snapshot.rejection is None:
        return ()
    return outcome.write(
        snapshot, RunState.PENDING, Reason.CLUSTER_STARTING, MESSAGE, ready=_problem(snapshot.rejection)
    )


def _problem(rejection: Rejection) -> ClusterReady:
    reason = Reason.QUOTA_EXCEEDED if rejection.kind is RejectionKind.QUOTA else Reason.CLUSTER_NOT_READY
    return ClusterReady(False, reason, rejection.message)


def _make_plan(snapshot: Snapshot) -> PlanWithSources | None:
    identity = snapshot.run.identity
    flow, run_spec = snapshot.flow, snapshot.run.spec
    if flow is None or flow.spec is None or run_spec is None:
        return None
    plan = Plan.make(
        run=PlanRun(namespace=identity.namespace, name=identity.name, uid=identity.uid),
        flow=PlanFlow(name=flow.name, generation=flow.generation, inline=flow.inline),
        spec=flow.spec,
        parameters=dict(snapshot.admission.parameters),
        context=run_spec.context,
    )
    paths = tuple(file.path for file in flow.spec.source.files) if flow.spec.source else ()
    return PlanWithSources(plan, paths)


def _plan_status(snapshot: Snapshot, fixed: PlanWithSources) -> PlanStatus:
    flow = fixed.plan.flow
    return PlanStatus(
        config_map=snapshot.run.identity.plan_name,
        sha256=fixed.plan.sha256,
        flow_generation=None if flow.inline else flow.generation,
    )


def _children(snapshot: Snapshot, fixed: PlanWithSources) -> Actions:
    run = snapshot.run.identity
    cluster = fixed.plan.spec.cluster
    source = snapshot.flow.spec.source if snapshot.flow and snapshot.flow.spec else None
    account = service_account(
        run,
        annotations=cluster.service_account_annotations,
        pull_secrets=[secret.name for secret in cluster.image_pull_secrets],
    )
    made: list[Action] = [CreateChild(role(run))]
    made += (CreateChild(manifest, of_role=True) for manifest in (account, role_binding(run), network_policy(run)))
    if snapshot.fixed_plan is None:
        made.insert(0, CreateChild(plan_config_map(run, fixed.plan, source)))
    return tuple(made)
