"""A `Trigger` of a spec becomes a function of upstream states."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flowkiln import triggers
from flowkiln.api.flow import Trigger, TriggerRule
from flowkiln.loading.references import resolve_callable

_RULES: dict[TriggerRule, Callable[..., Any]] = {
    TriggerRule.ALL_SUCCESSFUL: triggers.all_successful,
    TriggerRule.ALL_FAILED: triggers.all_failed,
    TriggerRule.ANY_SUCCESSFUL: triggers.any_successful,
    TriggerRule.ANY_FAILED: triggers.any_failed,
    TriggerRule.ALL_FINISHED: triggers.all_finished,
    TriggerRule.MANUAL_ONLY: triggers.manual_only,
    TriggerRule.SOME_SUCCESSFUL: triggers.some_successful,
    TriggerRule.SOME_FAILED: triggers.some_failed,
    TriggerRule.NOT_ALL_SKIPPED: triggers.not_all_skipped,
}

_ROUNDING = 1e-9
"""Far more than floats lose, far less than one task run among all that a flow may have."""


def build_trigger(spec: Trigger, owner: str) -> Callable[..., Any]:
    """Give the trigger function; raises FlowLoadError if it has to be imported and cannot be."""
    if spec.function is not None:
        found: Callable[..., Any] = resolve_callable(spec.function, f"{owner}, trigger")
        return found
    rule = spec.rule or TriggerRule.ALL_SUCCESSFUL
    trigger = _RULES[rule]
    if rule.takes_bounds:
        made: Callable[..., Any] = trigger(
            at_least=_bound(spec.at_least, -_ROUNDING), at_most=_bound(spec.at_most, _ROUNDING)
        )
        return made
    return trigger


def _bound(bound: int | str | None, rounding: float) -> int | float | None:
    """Give counts as they are and percentages as fractions below 1, as triggers take them.

    A fraction is moved by `rounding` parts of itself to the generous side, so that 29% of 100 is 29 whatever floats say
    (0.29 * 100 < 29), and 100%, which as 1.0 would be a count, stays below 1.
    """
    if not isinstance(bound, str):
        return bound
    percent = int(bound.removesuffix("%"))
    if percent == 100 and rounding > 0:
        return None
    return percent / 100 * (1 + rounding)
