"""Read a status that another version of the operator may have written: unknown fields are ignored.

After a rollback the operator meets statuses of a newer version. The spec is read strictly, because it must be obeyed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel

from flowkiln.api.reasons import TERMINAL_STATES, ConditionStatus, ConditionType, RunState
from flowkiln.api.status import ClusterStatus, Condition, FlowRunStatus, PlanStatus

REPORT_FIELDS = ("flow", "tasks")
"""The agent's part of a status."""

_PARTS: Mapping[str, type[BaseModel]] = {"plan": PlanStatus, "cluster": ClusterStatus}
_STATES = frozenset(state.value for state in RunState)
_ANSWERS = frozenset(answer.value for answer in ConditionStatus)


def read_status(document: Mapping[str, Any]) -> FlowRunStatus:
    """Read the operator's part of a status.

    An unknown state counts as none. But a finished run stays finished: then its conditions say how it ended.
    """
    known = _known(FlowRunStatus, document)
    for name in REPORT_FIELDS:
        known.pop(name, None)
    for name, model in _PARTS.items():
        if isinstance(part := known.get(name), Mapping):
            known[name] = _known(model, part)
    if "conditions" in known:
        known["conditions"] = [*_conditions(known["conditions"])]
    if "state" in known and known["state"] not in _STATES:
        known["state"] = _state_by(known.get("conditions", []))
    return FlowRunStatus.model_validate(known)


def is_over(document: Mapping[str, Any]) -> bool:
    """Return whether a run with this status has ended, also in an unknown state."""
    state = document.get("state")
    if state in _STATES:
        return state in TERMINAL_STATES
    return _state_by([*_conditions(document.get("conditions"))]) is not None


def _known(model: type[BaseModel], document: Mapping[str, Any]) -> dict[str, Any]:
    names = {field.alias for field in model.model_fields.values()}
    return {name: value for name, value in document.items() if name in names}


def _conditions(found: object) -> Iterator[dict[str, Any]]:
    types = {type.value for type in ConditionType}
    for condition in found if isinstance(found, list) else ():
        if condition.get("type") in types and condition.get("status") in _ANSWERS:
            yield _known(Condition, condition)


def _state_by(conditions: list[dict[str, Any]]) -> RunState | None:
    answers = {condition["type"]: condition["status"] for condition in conditions}
    if answers.get(ConditionType.FINISHED) != ConditionStatus.TRUE:
        return None
    succeeded = answers.get(ConditionType.SUCCEEDED) == ConditionStatus.TRUE
    return RunState.SUCCESS if succeeded else RunState.FAILED
