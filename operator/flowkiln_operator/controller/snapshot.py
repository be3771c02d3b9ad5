"""What the controller knows about one run at one moment. `decide` sees this and nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from flowkiln.api.flow import FlowSpec
from flowkiln.api.flow_run import FlowRunSpec
from flowkiln.api.model import JsonValue
from flowkiln.api.reasons import FlowReason, FlowState
from flowkiln.api.status import FlowRunStatus
from flowkiln_operator.resources.plan import PlanWithSources
from flowkiln_operator.resources.run import RunIdentity


@dataclass(frozen=True, slots=True)
class Report:
    """The agent's part of the status, as far as decisions may rest on it. It is a tenant's input, hence read with care.

    `pod_uid` is that of the scheduler pod whose agent holds the run, empty before the claim.
    """

    state: FlowState | None = None
    reason: FlowReason | None = None
    message: str = ""
    attempt: int = 0
    pod_uid: str = ""
    flow: Mapping[str, Any] = field(default_factory=dict)
    tasks: Sequence[Mapping[str, Any]] = ()

    @property
    def is_claimed(self) -> bool:
        """Whether an agent holds the run."""
        return bool(self.pod_uid)


@dataclass(frozen=True, slots=True)
class RunView:
    """The FlowRun. `spec` is None when it cannot be read, and `spec_error` then says why."""

    identity: RunIdentity
    generation: int
    resource_version: str
    created: datetime
    deleting: bool
    run_class: str | None
    """The class that its label names."""
    spec: FlowRunSpec | None
    spec_error: str
    status: FlowRunStatus
    """The operator's part alone."""
    report: Report
    owns_report: bool = False
    """Whether the operator has taken `status.flow` and `status.tasks` over, and so must name them in every apply."""


@dataclass(frozen=True, slots=True)
class FlowView:
    """A Flow, or the inline flowSpec of a run. `spec` is None when it cannot be read."""

    name: str
    generation: int
    inline: bool
    spec: FlowSpec | None
    spec_error: str = ""
    uid: str = ""


@dataclass(frozen=True, slots=True)
class Admission:
    """What the checks of a run and its Flow found: the first problem, and the parameters if there is none."""

    problem: str | None = None
    parameters: Mapping[str, JsonValue] = field(default_factory=dict)


class PlanProblem(StrEnum):
    """What can be wrong with the ConfigMap where the plan should be."""

    FOREIGN = "Foreign"
    UNREADABLE = "Unreadable"


@dataclass(frozen=True, slots=True)
class DaskClusterView:
    """The run's DaskCluster of the number that the status names."""

    name: str
    uid: str
    created: datetime
    deleting: bool
    owned: bool


STABLE_AFTER = timedelta(seconds=20)
"""How long a pod must be ready again, after a container in it had ended, until that counts."""


@dataclass(frozen=True, slots=True)
class ContainerView:
    """A container as its pod's status tells of it. `waiting` is why it does not run, empty if it does."""

    name: str
    ready: bool
    restarts: int = 0
    waiting: str = ""
    message: str = ""
    exit_code: int | None = None
    ended: str = ""
    """Why it ended last: Error, OOMKilled …"""


@dataclass(frozen=True, slots=True)
class PodView:
    """A pod of the run's cluster. `ready_changed` is when it last became ready or stopped being so."""

    name: str
    uid: str
    component: str
    phase: str
    deleting: bool
    ready: bool
    ready_changed: datetime | None
    unschedulable: str = ""
    """What the Kubernetes scheduler says about a pod that fits nowhere; empty for one that has a node."""
    containers: tuple[ContainerView, ...] = ()

    @property
    def is_scheduler(self) -> bool:
        """Whether it is the pod of the Dask scheduler and the agent."""
        return self.component == "scheduler"

    def is_stable(self, now: datetime) -> bool:
        """Tell whether it is ready, and has been so for a while if a container in it had ended before.

        Workers have no probes: one that ends at every start is ready in the seconds that it takes to end again.
        """
        has_ended = any(container.restarts for container in self.containers)
        return self.ready and not (has_ended and self.ready_changed and now < self.ready_changed + STABLE_AFTER)


def has_ready_worker(pods: Iterable[PodView], now: datetime) -> bool:
    """Tell whether at least one worker pod is ready, and stays so."""
    return any(pod.is_stable(now) and not pod.deleting and not pod.is_scheduler for pod in pods)


class RejectionKind(StrEnum):
    """Why the API server refused something that the controller wanted to create."""

    QUOTA = "Quota"
    NAME_TAKEN = "NameTaken"
    REFUSED = "Refused"


@dataclass(frozen=True, slots=True)
class Rejection:
    """A refusal that the controller met for this run: `since` is when it first did, `last` when it last did."""

    kind: RejectionKind
    message: str
    since: datetime
    last: datetime


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything about one run. What is not there is None or empty; what was not looked at stays so too."""

    now: datetime
    run: RunView
    flow: FlowView | None = None
    admission: Admission = Admission()
    """Found while there is no plan."""
    plan: PlanWithSources | PlanProblem | None = None
    cluster: DaskClusterView | None = None
    pods: tuple[PodView, ...] = ()
    deployments: int = 0
    """How many Deployments the run has; counted only until the claim, and while no worker is ready."""
    replica_failures: tuple[str, ...] = ()
    """What those Deployments say about pods that they may not create."""
    rejection: Rejection | None = None
    run_class: str | None = None
    """The class of runs that this controller works on; None: runs without the label."""

    @property
    def is_foreign(self) -> bool:
        """Whether the run is another controller's."""
        return self.run.run_class != self.run_class

    @property
    def had_cluster(self) -> bool:
        """Whether a DaskCluster of the run must have been there, even if it is not now."""
        return bool(self.pods) or self.deployments > 0 or self.run.report.is_claimed

    @property
    def fixed_plan(self) -> PlanWithSources | None:
        """The plan, when it could be read."""
        return self.plan if isinstance(self.plan, PlanWithSources) else None
