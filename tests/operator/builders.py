"""Snapshots for tests of decisions, built like sentences: `make_flow_run().claimed().running().snapshot()`."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from flowkiln.api.flow import FlowSpec
from flowkiln.api.flow_run import FlowRunSpec
from flowkiln.api.plan import Plan, PlanFlow, PlanRun
from flowkiln.api.status import FlowRunStatus
from flowkiln_operator.controller import views
from flowkiln_operator.controller.actions import Action, Actions, ApplyStatus, RequeueAt
from flowkiln_operator.controller.admission import admit
from flowkiln_operator.controller.decide import decide
from flowkiln_operator.controller.snapshot import (
    ContainerView,
    DaskClusterView,
    FlowView,
    PlanProblem,
    PodView,
    Rejection,
    RejectionKind,
    RunView,
    Snapshot,
)
from flowkiln_operator.resources.plan import PlanWithSources
from flowkiln_operator.resources.run import RunIdentity
from flowkiln_operator.status.reading import REPORT_FIELDS

CREATED = datetime(2026, 1, 1, 12, 0, 0, tzinfo=UTC)
UID = "0123456789ab"
RUN = RunIdentity("team", "monthly", UID)
CLUSTER = RUN.cluster_name(1)
HOLDER = "pod-uid"
TASKS = [{"name": "extract", "function": "weather:extract"}]


def at(seconds: float) -> datetime:
    """Return the time so many seconds after the run's creation."""
    return CREATED + timedelta(seconds=seconds)


@dataclass(frozen=True)
class Builder:
    """A run and its objects, changed one sentence at a time."""

    run: RunView
    flow_spec: dict[str, Any]
    parts: dict[str, Any] = field(default_factory=dict)
    now: datetime = CREATED

    def with_spec(self, **fields: Any) -> Builder:
        """Set fields of the FlowRun's spec, in its own camelCase."""
        assert self.run.spec is not None
        spec = FlowRunSpec.model_validate({**self.run.spec.to_json(), **fields})
        return replace(self, run=replace(self.run, spec=spec, generation=self.run.generation))

    def with_unreadable_spec(self, why: str) -> Builder:
        """Have a spec that this version cannot read."""
        return replace(self, run=replace(self.run, spec=None, spec_error=why))

    def with_flow(self, **fields: Any) -> Builder:
        """Set fields of the Flow's spec, in its own camelCase."""
        return replace(self, flow_spec={**self.flow_spec, **fields})._with_parts(flow=True)

    def without_flow(self) -> Builder:
        """Let there be no Flow."""
        return self._with_parts(flow=None)

    def with_broken_flow(self, why: str) -> Builder:
        """Let there be a Flow that cannot be read."""
        return self._with_parts(flow=FlowView("weather", 3, inline=False, spec=None, spec_error=why))

    def with_plan(self) -> Builder:
        """Let the plan's ConfigMap be there."""
        return self._with_parts(plan=self.fixed_plan())

    def with_plan_problem(self, problem: PlanProblem) -> Builder:
        """Let something else be where the plan should be."""
        return self._with_parts(plan=problem)

    def deleting(self) -> Builder:
        """Let the FlowRun be deleted."""
        return replace(self, run=replace(self.run, deleting=True))

    def of_class(self, label: str | None, *, seen_by: str | None) -> Builder:
        """Let the FlowRun have this class, or none, and the operator be one for that class, or for none."""
        return replace(self, run=replace(self.run, run_class=label))._with_parts(run_class=seen_by)

    def patched(self, **fields: Any) -> Builder:
        """Let somebody patch the spec, which makes another generation of it."""
        built = self.with_spec(**fields)
        return replace(built, run=replace(built.run, generation=built.run.generation + 1))

    def rejected(self, kind: RejectionKind, message: str, *, since: float = 0, last: float = 0) -> Builder:
        """Let the API server have refused something."""
        return self._with_parts(rejection=Rejection(kind, message, at(since), at(last)))

    def starting(self) -> Builder:
        """Let the operator have created everything, as its own decision says."""
        built = self.after_decision().with_plan()
        return built.with_cluster()

    def with_cluster(self, **fields: Any) -> Builder:
        """Let the DaskCluster be there."""
        view = DaskClusterView(CLUSTER, "cluster-uid", created=self.now, deleting=False, owned=True)
        return self._with_parts(cluster=replace(view, **fields))

    def without_cluster(self) -> Builder:
        """Let there be no DaskCluster."""
        return self._with_parts(cluster=None)

    def with_pods(self, *pods: PodView) -> Builder:
        """Let these be the run's pods."""
        return self._with_parts(pods=pods)

    def with_replica_failure(self, message: str) -> Builder:
        """Let a Deployment say why it has no pods."""
        return self._with_parts(deployments=1, replica_failures=(message,))

    def reporting(self, state: str, reason: str, **fields: Any) -> Builder:
        """Let the agent, which has claimed the run, report this."""
        flow = {"state": state, "reason": reason, "attempt": 1, "holder": {"podUID": HOLDER, "schedulerId": "s"}}
        tasks = fields.pop("tasks", [])
        report = views.report({"flow": {**flow, **fields}, "tasks": tasks})
        return replace(self, run=replace(self.run, report=report))

    def running(self) -> Builder:
        """Let the cluster be up, the run be claimed, and the operator have seen it."""
        built = self.starting().with_pods(scheduler_pod(), worker_pod()).reporting("Running", "Running")
        return built.after_decision()

    def at(self, seconds: float) -> Builder:
        """Let it be so many seconds after the run's creation."""
        return replace(self, now=at(seconds))

    def after_decision(self) -> Builder:
        """Let the operator decide, and its status be written."""
        written = status_of(self.decide())
        if written is None:
            return self
        own = {key: value for key, value in written.items() if key not in REPORT_FIELDS}
        taken = any(key in written for key in REPORT_FIELDS)
        report = views.report(written) if taken else self.run.report
        status = FlowRunStatus.model_validate(own)
        run = replace(self.run, status=status, report=report, owns_report=self.run.owns_report or taken)
        return replace(self, run=run)

    def fixed_plan(self) -> PlanWithSources:
        """Return the plan that the operator makes for this run and Flow."""
        assert self.run.spec is not None
        spec = FlowSpec.model_validate(self.flow_spec)
        plan = Plan.make(
            run=PlanRun(namespace=RUN.namespace, name=RUN.name, uid=RUN.uid),
            flow=PlanFlow(name="weather", generation=3, inline=False),
            spec=spec,
            parameters={},
            context=self.run.spec.context,
        )
        return PlanWithSources(plan)

    def snapshot(self) -> Snapshot:
        """Return all of it as the policies see it."""
        parts = dict(self.parts)
        flow = parts.pop("flow", True)
        if flow is True:
            flow = FlowView("weather", 3, inline=False, spec=FlowSpec.model_validate(self.flow_spec))
        return Snapshot(now=self.now, run=self.run, flow=flow, admission=admit(self.run, flow), **parts)

    def decide(self) -> Actions:
        """Return what is decided about all this."""
        return decide(self.snapshot())

    def _with_parts(self, **parts: Any) -> Builder:
        return replace(self, parts={**self.parts, **parts})


def make_flow_run() -> Builder:
    """Return a new FlowRun of a small Flow that is there."""
    run = RunView(
        identity=RUN,
        generation=1,
        resource_version="7",
        created=CREATED,
        deleting=False,
        run_class=None,
        spec=FlowRunSpec.model_validate({"flowRef": {"name": "weather"}}),
        spec_error="",
        status=FlowRunStatus(),
        report=views.report({}),
    )
    return Builder(run, {"tasks": TASKS})


def scheduler_pod(**fields: Any) -> PodView:
    """Return a scheduler pod in which all is well."""
    pod = PodView(
        name=f"{CLUSTER}-scheduler-x",
        uid=HOLDER,
        component="scheduler",
        phase="Running",
        deleting=False,
        ready=True,
        ready_changed=at(5),
        containers=(ContainerView("scheduler", ready=True), ContainerView("agent", ready=True)),
    )
    return replace(pod, **fields)


def worker_pod(**fields: Any) -> PodView:
    """Return a worker pod in which all is well."""
    pod = PodView(
        name=f"{CLUSTER}-default-worker-y",
        uid="worker-uid",
        component="worker",
        phase="Running",
        deleting=False,
        ready=True,
        ready_changed=at(5),
        containers=(ContainerView("worker", ready=True),),
    )
    return replace(pod, **fields)


def status_of(actions: Actions) -> dict[str, Any] | None:
    """Return the status that the actions write; None when they write none."""
    written = [action.status for action in actions if isinstance(action, ApplyStatus)]
    assert len(written) <= 1, "one decision writes the status at most once"
    return dict(written[0]) if written else None


def condition(status: dict[str, Any], type: str) -> dict[str, Any]:
    """Return one condition of a status."""
    return next(condition for condition in status["conditions"] if condition["type"] == type)


def kinds(actions: Actions) -> list[type[Action]]:
    """Return what kinds of actions these are, in order."""
    return [type(action) for action in actions]


def requeued_at(actions: Actions) -> datetime | None:
    """Return when the run is to be looked at again."""
    return min((action.time for action in actions if isinstance(action, RequeueAt)), default=None)
