"""A cache of the controller between two reconciles of a run. It can be lost: it only saves requests."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from flowkiln.api.flow_run import FlowRunSpec
from flowkiln_operator.controller import views
from flowkiln_operator.controller.admission import admit
from flowkiln_operator.controller.snapshot import Admission, FlowView, Rejection, RejectionKind, RunView
from flowkiln_operator.resources.plan import PlanWithSources
from flowkiln_operator.resources.run import RunIdentity


@dataclass(slots=True)
class _Remembered:
    uid: str
    plan: PlanWithSources | None = None
    has_plan: bool = False
    role: str = ""
    tls_secret: str = ""
    rejection: Rejection | None = None
    spec: tuple[int, tuple[FlowRunSpec | None, str]] | None = None
    admission: tuple[tuple[object, ...], Admission] | None = None


@dataclass(slots=True)
class Memory:
    """Specs and plans, which are costly to read; Secrets, which are never read; rejections, stored nowhere else."""

    _runs: dict[tuple[str, str], _Remembered] = field(default_factory=dict)

    def keys(self) -> set[tuple[str, str]]:
        """Return the keys of all runs that have an entry."""
        return set(self._runs)

    def spec(self, document: Mapping[str, Any]) -> tuple[FlowRunSpec | None, str]:
        """Return the spec of a FlowRun as `views.run_spec` does; each generation of it is read once."""
        metadata = document["metadata"]
        remembered = self._of(RunIdentity(metadata["namespace"], metadata["name"], metadata["uid"]))
        if remembered.spec is None or remembered.spec[0] != metadata["generation"]:
            remembered.spec = metadata["generation"], views.run_spec(document)
        return remembered.spec[1]

    def plan(self, run: RunIdentity) -> PlanWithSources | None:
        """Return the run's plan, if it is known."""
        return self._of(run).plan

    def keep_plan(self, run: RunIdentity, plan: PlanWithSources) -> None:
        """Store the run's plan."""
        remembered = self._of(run)
        remembered.plan, remembered.admission = plan, None

    def admission(self, run: RunView, flow: FlowView | None) -> Admission:
        """Return what the checks of this version of run and Flow found; they are made once."""
        remembered = self._of(run.identity)
        versions = (run.generation, flow.uid if flow else None, flow.generation if flow else None)
        if remembered.admission is None or remembered.admission[0] != versions:
            remembered.admission = versions, admit(run, flow)
        return remembered.admission[1]

    def has_plan(self, run: RunIdentity) -> bool:
        """Return whether a ConfigMap with the plan's name exists although the status does not say so yet."""
        return self._of(run).has_plan

    def note_plan(self, run: RunIdentity) -> None:
        """Remember that a ConfigMap with the plan's name exists."""
        self._of(run).has_plan = True

    def role(self, run: RunIdentity) -> str:
        """Return the uid of the run's Role; empty when it was not seen."""
        return self._of(run).role

    def keep_role(self, run: RunIdentity, uid: str) -> None:
        """Remember the uid of the run's Role."""
        self._of(run).role = uid

    def tls_secret(self, run: RunIdentity) -> str:
        """Return the name of the Secret that waits for its DaskCluster; empty when there is none."""
        return self._of(run).tls_secret

    def keep_tls_secret(self, run: RunIdentity, name: str) -> None:
        """Remember the Secret that was created for the DaskCluster that comes next."""
        self._of(run).tls_secret = name

    def rejection(self, run: RunIdentity) -> Rejection | None:
        """Return the last rejection for this run."""
        return self._of(run).rejection

    def record_rejection(self, run: RunIdentity, kind: RejectionKind, message: str, now: datetime) -> None:
        """Store a rejection; its time is that of the first in a row."""
        remembered = self._of(run)
        since = remembered.rejection.since if remembered.rejection else now
        remembered.rejection = Rejection(kind, message, since, last=now)

    def clear_rejection(self, run: RunIdentity) -> None:
        """Remove the rejection after a successful attempt."""
        self._of(run).rejection = None

    def forget(self, namespace: str, name: str) -> None:
        """Remove a run that is deleted or settled."""
        self._runs.pop((namespace, name), None)

    def _of(self, run: RunIdentity) -> _Remembered:
        key = (run.namespace, run.name)
        remembered = self._runs.get(key)
        if remembered is None or remembered.uid != run.uid:
            remembered = self._runs[key] = _Remembered(run.uid)
        return remembered
