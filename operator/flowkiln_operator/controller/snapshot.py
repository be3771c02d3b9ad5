"""The snapshot of one run, the only input of `decide`."""

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
    """The agent's part of the status that decisions use. It is tenant input, so it is validated.

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
        """Return whether an agent holds the run."""
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
    """The value of its class label."""
    spec: FlowRunSpec | None
    spec_error: str
    status: FlowRunStatus
    """The operator's part."""
    report: Report
    owns_report: bool = False
    """Whether the operator owns `status.flow` and `status.tasks`, and so must include them in every apply."""


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
    """Problems of the ConfigMap of the plan."""

    FOREIGN = "Foreign"
    UNREADABLE = "Unreadable"


@dataclass(frozen=True, slots=True)
class DaskClusterView:
    """The run's DaskCluster with the number in the status."""

    name: str
    uid: str
    created: datetime
    deleting: bool
    owned: bool


STABLE_AFTER = timedelta(seconds=20)
"""How long a pod must be ready after a container restart to count as stable."""


@dataclass(frozen=True, slots=True)
class ContainerView:
    """A container in its pod's status. `waiting` is why it is not running, empty if it is."""

    name: str
    ready: bool
    restarts: int = 0
    waiting: str = ""
    message: str = ""
    exit_code: int | None = None
    ended: str = ""
    """Why it last ended: Error, OOMKilled …"""


@dataclass(frozen=True, slots=True)
class PodView:
    """A pod of the run's cluster. `ready_changed` is the last change of its readiness."""

    name: str
    uid: str
    component: str
    phase: str
    deleting: bool
    ready: bool
    ready_changed: datetime | None
    unschedulable: str = ""
    """The Kubernetes scheduler's message about an unschedulable pod; empty if the pod has a node."""
    containers: tuple[ContainerView, ...] = ()

    @property
    def is_scheduler(self) -> bool:
        """Return whether this is the pod of the Dask scheduler and the agent."""
        return self.component == "scheduler"

    def is_stable(self, now: datetime) -> bool:
        """Return whether the pod is ready, and has been for a while if a container was restarted.

        Workers have no probes: a crashing worker is ready for the seconds between its start and its end.
        """
        has_ended = any(container.restarts for container in self.containers)
        return self.ready and not (has_ended and self.ready_changed and now < self.ready_changed + STABLE_AFTER)


def has_ready_worker(pods: Iterable[PodView], now: datetime) -> bool:
    """Return whether at least one worker pod is ready and stable."""
    return any(pod.is_stable(now) and not pod.deleting and not pod.is_scheduler for pod in pods)


class RejectionKind(StrEnum):
    """Why the API server rejected the creation of an object."""

    QUOTA = "Quota"
    NAME_TAKEN = "NameTaken"
    REFUSED = "Refused"


@dataclass(frozen=True, slots=True)
class Rejection:
    """A rejection for this run: `since` is the time of the first in a row, `last` that of the last."""

    kind: RejectionKind
    message: str
    since: datetime
    last: datetime


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything about one run. What does not exist, or was not read, is None or empty."""

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
    """Messages of those Deployments about pods that they cannot create."""
    rejection: Rejection | None = None
    run_class: str | None = None
    """The class of runs of this controller; None: runs without the label."""

    @property
    def is_foreign(self) -> bool:
        """Return whether the run belongs to another controller."""
        return self.run.run_class != self.run_class

    @property
    def had_cluster(self) -> bool:
        """Return whether the run must have had a DaskCluster, even if there is none now."""
        return bool(self.pods) or self.deployments > 0 or self.run.report.is_claimed

    @property
    def fixed_plan(self) -> PlanWithSources | None:
        """Return the plan, if it could be read."""
        return self.plan if isinstance(self.plan, PlanWithSources) else None
