"""Build the trigger function of a `Trigger` in a spec."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flowkiln.api.flow import Trigger
from flowkiln.loading.references import resolve_callable
from flowkiln.triggers import DEFAULT_RULE, RULES

_ROUNDING = 1e-9
"""Far above the rounding errors of floats, far below the share of one task run in any flow."""


def build_trigger(spec: Trigger, owner: str) -> Callable[..., Any]:
    """Return the trigger function; raise FlowLoadError if it cannot be imported."""
    if spec.function is not None:
        found: Callable[..., Any] = resolve_callable(spec.function, f"{owner}, trigger")
        return found
    rule = RULES[spec.rule or DEFAULT_RULE]
    if not rule.parameters:
        return rule.function
    made: Callable[..., Any] = rule.function(**{name: _argument(name, getattr(spec, name)) for name in rule.parameters})
    return made


def _argument(name: str, given: int | str | None) -> int | float | None:
    """Return counts unchanged and percentages as fractions below 1, as triggers expect.

    A fraction is widened by the relative amount `_ROUNDING`, so 29% of 100 is 29 despite rounding (0.29 * 100 < 29),
    and 100%, which would be a count as 1.0, stays below 1.
    """
    if not isinstance(given, str):
        return given
    percent, is_most = int(given.removesuffix("%")), name == "at_most"
    if percent == 100 and is_most:
        return None
    return percent / 100 * (1 + (_ROUNDING if is_most else -_ROUNDING))
