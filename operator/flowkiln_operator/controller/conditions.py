"""Derive the conditions of a run from its state; `kubectl wait`, kstatus, Flux and Argo CD read them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from flowkiln.api.reasons import CONDITIONS_OF_STATE, ConditionStatus, ConditionType, RunState
from flowkiln.api.status import Condition
from flowkiln_operator.status.text import head


@dataclass(frozen=True, slots=True)
class ClusterReady:
    """The content of the condition ClusterReady."""

    ready: bool
    reason: str
    message: str

    @property
    def status(self) -> ConditionStatus:
        """Return the status of the condition."""
        return ConditionStatus.TRUE if self.ready else ConditionStatus.FALSE


def conditions(
    before: Sequence[Condition],
    state: RunState,
    *,
    reason: str,
    message: str,
    cluster: ClusterReady,
    generation: int,
    now: datetime,
) -> tuple[Condition, ...]:
    """Return all conditions of a run in this state. A condition whose status stays keeps its lastTransitionTime."""
    known = {condition.type: condition for condition in before}

    def make(type: ConditionType, status: ConditionStatus, reason: str, message: str) -> Condition:
        previous = known.get(type)
        stays = previous is not None and previous.status == status
        return Condition(
            type=type.value,
            status=status,
            reason=reason,
            message=head(message),
            last_transition_time=previous.last_transition_time if previous and stays else now,
            observed_generation=generation,
        )

    of_state = [make(type, status, reason, message) for type, status in CONDITIONS_OF_STATE[state].items()]
    return (*of_state, make(ConditionType.CLUSTER_READY, cluster.status, cluster.reason, cluster.message))
