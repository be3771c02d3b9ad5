"""Skip FlowRuns that are being deleted: Kubernetes deletes their children by ownerReferences."""

from __future__ import annotations

from flowkiln_operator.controller.actions import Actions
from flowkiln_operator.controller.snapshot import Snapshot


def skip_deleting(snapshot: Snapshot) -> Actions | None:
    """Do nothing about a run that is being deleted."""
    return () if snapshot.run.deleting else None
