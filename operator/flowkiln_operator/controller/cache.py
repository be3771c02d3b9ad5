"""The state that the watches have shown: FlowRuns, and what decisions need of DaskClusters, pods and Deployments."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar

from flowkiln.api.names import FLOW_RUN_KIND, RUN_LABEL, RUN_NAME_ANNOTATION
from flowkiln_operator.controller import views
from flowkiln_operator.controller.settled import Settled, settled
from flowkiln_operator.controller.snapshot import PodView
from flowkiln_operator.controller.table import Document, Table
from flowkiln_operator.controller.work_queue import Key
from flowkiln_operator.resources import dask_cluster
from flowkiln_operator.resources.run import RunIdentity

View = TypeVar("View")

_CHANGING_OFTEN = frozenset({"message", "progress", "counts"})
_OF_A_DASK_CLUSTER = ("name", "namespace", "uid", "creationTimestamp", "deletionTimestamp", "ownerReferences")


@dataclass(frozen=True, slots=True)
class KnownRun:
    """A FlowRun. The document of a settled run is not kept."""

    uid: str
    state: str
    flow: str
    """The Flow that the run waits for; empty when it has its plan."""
    essence: bytes
    """A digest of everything that decisions depend on."""
    document: Document | None
    settled: Settled | None


@dataclass(frozen=True, slots=True)
class Child(Generic[View]):
    """An object that belongs to a run, as its label and annotation claim. A false claim costs one reconcile."""

    label: str
    run: str
    view: View


class Cache:
    """One table for each watched kind. Decides which runs a change concerns."""

    def __init__(self, look: Callable[[Key], None]) -> None:
        """Create an empty cache. `look` is called with the key of each run that has to be reconciled."""
        self._look = look
        self._doubted: set[Key] = set()
        self.flow_runs = Table(known_run, group=lambda run: run.flow, on_change=self._run_changed)
        self.dask_clusters = self._table(_dask_cluster)
        self.pods = self._table(views.pod_view)
        self.deployments = self._table(views.replica_failure)
        self._is_complete = False

    @property
    def is_complete(self) -> bool:
        """Return whether every kind has been listed. No run is reconciled before that."""
        return self._is_complete

    def complete(self) -> None:
        """Record that every kind has been listed, and reconcile all runs if that is new."""
        if not self._is_complete:
            self._is_complete = True
            for key, _ in self.flow_runs.items():
                self._look(key)

    def run(self, key: Key) -> KnownRun | None:
        """Return a run."""
        return self.flow_runs.get(key)

    def rests(self, key: Key, now: datetime) -> bool:
        """Return whether a run needs no work now: it is settled, and nothing of it is to be deleted."""
        run = self.run(key)
        if run is None or run.settled is None:
            return False
        identity = RunIdentity(*key, run.uid)
        clusters = (child.view for _, child in self.dask_clusters.group(key[0], identity.base))
        is_due = run.settled.due is not None and run.settled.due <= now
        return not is_due and all("deletionTimestamp" in cluster["metadata"] for cluster in clusters)

    def dask_cluster(self, namespace: str, name: str) -> Document | None:
        """Return the metadata of a DaskCluster that views need; None when there is none."""
        child = self.dask_clusters.get((namespace, name))
        return child.view if child is not None else None

    def pods_of(self, run: RunIdentity) -> tuple[PodView, ...]:
        """Return the pods of a run."""
        return tuple(child.view for _, child in self.pods.group(run.namespace, run.base))

    def replica_failures_of(self, run: RunIdentity) -> list[str | None]:
        """Return for each Deployment of a run why it cannot create pods; None when it can."""
        return [child.view for _, child in self.deployments.group(run.namespace, run.base)]

    def states(self) -> list[str]:
        """Return the state of each run."""
        return [run.state for _, run in self.flow_runs.items()]

    def learn(self, document: Document) -> None:
        """Store an object that the controller's own request returned."""
        kind = document.get("kind")
        if kind == FLOW_RUN_KIND:
            self.flow_runs.learn(document)
        elif kind == dask_cluster.KIND and RUN_LABEL in (document["metadata"].get("labels") or {}):
            self.dask_clusters.learn(document)

    def doubt(self, key: Key) -> None:
        """Record that a run has a newer version than the cache; the next reconcile reads it."""
        self._doubted.add(key)

    def take_doubt(self, key: Key) -> bool:
        """Return whether the run has to be read, and reset that."""
        doubted = key in self._doubted
        self._doubted.discard(key)
        return doubted

    def flow_changed(self, flow: Document) -> None:
        """Reconcile the runs that wait for this Flow."""
        metadata = flow["metadata"]
        for key, _ in self.flow_runs.group(metadata["namespace"], metadata["name"]):
            self._look(key)

    def _table(self, view: Callable[[Document], View]) -> Table[Child[View]]:
        def read(document: Document) -> Child[View]:
            metadata = document["metadata"]
            run = (metadata.get("annotations") or {}).get(RUN_NAME_ANNOTATION, "")
            return Child(metadata["labels"][RUN_LABEL], run, view(document))

        return Table(read, group=lambda child: child.label, on_change=self._child_changed)

    def _run_changed(self, key: Key, before: KnownRun | None, after: KnownRun | None) -> None:
        self._doubted.discard(key)
        if before is None or after is None or (before.uid, before.essence) != (after.uid, after.essence):
            self._look(key)

    def _child_changed(self, key: Key, before: Child[Any] | None, after: Child[Any] | None) -> None:
        # Runs of another class are not in the table. A run that appears later is reconciled then.
        child = after or before
        if child is not None and before != after and (run := (key[0], child.run)) in self.flow_runs:
            self._look(run)


def known_run(document: Document) -> KnownRun:
    """Return what is kept of a FlowRun."""
    over = settled(document)
    status, spec = document.get("status") or {}, document.get("spec") or {}
    return KnownRun(
        uid=document["metadata"]["uid"],
        state=str(status.get("state") or ""),
        flow="" if status.get("plan") or over else str((spec.get("flowRef") or {}).get("name") or ""),
        essence=_essence(document),
        document=None if over else document,
        settled=over,
    )


def _dask_cluster(document: Document) -> Document:
    metadata = document["metadata"]
    return {"metadata": {name: metadata[name] for name in _OF_A_DASK_CLUSTER if name in metadata}}


def _essence(document: Document) -> bytes:
    """Return a digest of what decisions depend on, which progress reports (up to one a second) do not change."""
    metadata, status = document["metadata"], document.get("status") or {}
    flow = status.get("flow") or {}
    kept = (
        metadata.get("generation"),
        "deletionTimestamp" in metadata,
        {key: value for key, value in status.items() if key not in ("flow", "tasks")},
        {key: value for key, value in flow.items() if key not in _CHANGING_OFTEN},
    )
    return hashlib.blake2b(repr(kept).encode(), digest_size=16).digest()
