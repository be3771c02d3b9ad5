"""Recognizes finished runs that need no more work. A settled run costs neither requests nor memory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from flowkiln.api.durations import parse_duration
from flowkiln.api.reasons import ConditionStatus, ConditionType
from flowkiln_operator.status.reading import is_over


@dataclass(frozen=True, slots=True)
class Settled:
    """A finished run whose status is complete. `due` is the time of its deletion, or None."""

    due: datetime | None


def settled(document: Mapping[str, Any]) -> Settled | None:
    """Return None while the run's status may still change.

    The document does not say whether the run's DaskCluster still exists; the caller has to check that as well.
    """
    status = document.get("status") or {}
    if not is_over(status):
        return None
    if status.get("observedGeneration") != document["metadata"].get("generation"):
        return None
    conditions = {condition["type"]: condition for condition in status.get("conditions") or ()}
    cluster = conditions.get(ConditionType.CLUSTER_READY.value)
    if cluster is None or cluster["status"] == ConditionStatus.TRUE.value:
        return None
    return Settled(_due(document, status))


def _due(document: Mapping[str, Any], status: Mapping[str, Any]) -> datetime | None:
    kept, completed = (document.get("spec") or {}).get("ttlAfterFinished"), status.get("completionTime")
    if kept is None or completed is None:
        return None
    return datetime.fromisoformat(completed) + parse_duration(kept)
