"""Skip FlowRuns of another class: another operator reconciles them."""

from __future__ import annotations

from flowkiln_operator.controller.actions import Actions
from flowkiln_operator.controller.snapshot import Snapshot


def skip_foreign_class(snapshot: Snapshot) -> Actions | None:
    """Do nothing about a run of another class, or without a class if this operator has one."""
    return () if snapshot.is_foreign else None
