"""What the watches have shown: FlowRuns, and of their DaskClusters, pods and Deployments what decisions rest on."""

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
from flowkiln_operator.controller.table import Document, Scope, Table
from flowkiln_operator.controller.work_queue import Key
from flowkiln_operator.resources import dask_cluster
from flowkiln_operator.resources.run import RunIdentity

View = TypeVar("View")

_CHANGING_OFTEN = frozenset({"message", "progress", "counts"})
_OF_A_DASK_CLUSTER = ("name", "namespace", "uid", "creationTimestamp", "deletionTimestamp", "ownerReferences")


@dataclass(frozen=True, slots=True)
class KnownRun:
    """A FlowRun. Of one that is settled only a few words are kept, and `document` is None."""

    uid: str
    state: str
    flow: str
    """The Flow that the run waits for; empty when it has its plan."""
    essence: bytes
    """A digest of what decisions rest on."""
    document: Document | None
    settled: Settled | None


@dataclass(frozen=True, slots=True)
class Child(Generic[View]):
    """What is kept of an object of a run, with the run that it claims as its own. It may lie."""

    label: str
    run: str
    view: View


class Cache:
    """One table for each kind that is watched, and the question which runs a change concerns."""

    def __init__(self, look: Callable[[Key], None]) -> None:
        """`look` is called with each run about which something has changed that decisions rest on."""
        self._look = look
        self._doubted: set[Key] = set()
        self.flow_runs = Table(
            known_run, group=lambda run: run.flow, on_change=self._run_changed, on_listed=self._listed
        )
        self.dask_clusters = self._table(_dask_cluster)
        self.pods = self._table(views.pod_view)
        self.deployments = self._table(views.replica_failure)
        self._tables: tuple[Table[Any], ...] = (self.flow_runs, self.dask_clusters, self.pods, self.deployments)

    def is_complete(self, namespace: str) -> bool:
        """Whether everything in a namespace has been listed. Before that nothing can be said about its runs."""
        return all(table.is_listed(namespace) for table in self._tables)

    def has_begun(self) -> bool:
        """Whether there is a namespace of which everything is known. One that is to come holds nobody up."""
        return all(table.is_listed_somewhere() for table in self._tables)

    def run(self, key: Key) -> KnownRun | None:
        """Return a run."""
        return self.flow_runs.get(key)

    def rests(self, key: Key, now: datetime) -> bool:
        """Whether a run needs nothing now: it is settled, its cluster is gone or going, and its time has not come."""
        run = self.run(key)
        if run is None or run.settled is None:
            return False
        identity = RunIdentity(*key, run.uid)
        clusters = (child.view for _, child in self.dask_clusters.group(key[0], identity.base))
        is_due = run.settled.due is not None and run.settled.due <= now
        return not is_due and all("deletionTimestamp" in cluster["metadata"] for cluster in clusters)

    def dask_cluster(self, namespace: str, name: str) -> Document | None:
        """Return what is known of a DaskCluster, as far as a view of it needs it."""
        child = self.dask_clusters.get((namespace, name))
        return child.view if child is not None else None

    def pods_of(self, run: RunIdentity) -> tuple[PodView, ...]:
        """Return the pods of a run."""
        return tuple(child.view for _, child in self.pods.group(run.namespace, run.base))

    def replica_failures_of(self, run: RunIdentity) -> list[str | None]:
        """Return for each Deployment of a run why it may not create pods."""
        return [child.view for _, child in self.deployments.group(run.namespace, run.base)]

    def states(self) -> list[str]:
        """Return the state of each run."""
        return [run.state for _, run in self.flow_runs.items()]

    def learn(self, document: Document) -> None:
        """Take what a request of the controller's own has brought."""
        kind = document.get("kind")
        if kind == FLOW_RUN_KIND:
            self.flow_runs.learn(document)
        elif kind == dask_cluster.KIND and RUN_LABEL in (document["metadata"].get("labels") or {}):
            self.dask_clusters.learn(document)

    def doubt(self, key: Key) -> None:
        """Note that a run has changed and the watch has not told yet."""
        self._doubted.add(key)

    def take_doubt(self, key: Key) -> bool:
        """Tell whether a run is in doubt, and end that: whoever asks reads it."""
        doubted = key in self._doubted
        self._doubted.discard(key)
        return doubted

    def flow_changed(self, flow: Document) -> None:
        """Take a Flow that is there or has changed: the runs that wait for it are to be looked at."""
        metadata = flow["metadata"]
        for key, _ in self.flow_runs.group(metadata["namespace"], metadata["name"]):
            self._look(key)

    def _table(self, view: Callable[[Document], View]) -> Table[Child[View]]:
        def read(document: Document) -> Child[View]:
            metadata = document["metadata"]
            run = (metadata.get("annotations") or {}).get(RUN_NAME_ANNOTATION, "")
            return Child(metadata["labels"][RUN_LABEL], run, view(document))

        return Table(read, group=lambda child: child.label, on_change=self._child_changed, on_listed=self._listed)

    def _run_changed(self, key: Key, before: KnownRun | None, after: KnownRun | None) -> None:
        self._doubted.discard(key)
        if before is None or after is None or (before.uid, before.essence) != (after.uid, after.essence):
            self._look(key)

    def _child_changed(self, key: Key, before: Child[Any] | None, after: Child[Any] | None) -> None:
        # A run of another class is not in the table; one that appears later is looked at then.
        child = after or before
        if child is not None and before != after and (run := (key[0], child.run)) in self.flow_runs:
            self._look(run)

    def _listed(self, scope: Scope) -> None:
        """Look at every run once everything about it is known, and again whenever that was read anew."""
        for key, _ in self.flow_runs.items(scope):
            if self.is_complete(key[0]):
                self._look(key)


def known_run(document: Document) -> KnownRun:
    """Read what is kept of a FlowRun."""
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
    """Digest what decisions rest on. An agent reports its progress up to once a second; nothing is decided by that."""
    metadata, status = document["metadata"], document.get("status") or {}
    flow = status.get("flow") or {}
    kept = (
        metadata.get("generation"),
        "deletionTimestamp" in metadata,
        {key: value for key, value in status.items() if key not in ("flow", "tasks")},
        {key: value for key, value in flow.items() if key not in _CHANGING_OFTEN},
    )
    return hashlib.blake2b(repr(kept).encode(), digest_size=16).digest()
