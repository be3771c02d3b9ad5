"""Which finished runs need nothing any more, by their documents alone. Such a run costs neither requests nor memory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from flowkiln.api.durations import parse_duration
from flowkiln.api.reasons import TERMINAL_STATES, ConditionStatus, ConditionType

_TERMINAL = frozenset(state.value for state in TERMINAL_STATES)


@dataclass(frozen=True, slots=True)
class Settled:
    """A run that is over and whose status says everything; `due` is when it is to be deleted, if ever."""

    due: datetime | None


def settled(document: Mapping[str, Any]) -> Settled | None:
    """Return when there is next something to do about a finished run; None for a run whose status is still to change.

    What is left of its cluster is not in its document: whoever asks must look for a DaskCluster too.
    """
    status = document.get("status") or {}
    if status.get("state") not in _TERMINAL:
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
