"""A `Trigger` of a spec becomes a function of upstream states."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flowkiln.api.flow import Trigger
from flowkiln.loading.references import resolve_callable
from flowkiln.triggers import DEFAULT_RULE, RULES

_ROUNDING = 1e-9
"""Far more than floats lose, far less than one task run among all that a flow may have."""


def build_trigger(spec: Trigger, owner: str) -> Callable[..., Any]:
    """Give the trigger function; raises FlowLoadError if it has to be imported and cannot be."""
    if spec.function is not None:
        found: Callable[..., Any] = resolve_callable(spec.function, f"{owner}, trigger")
        return found
    rule = RULES[spec.rule or DEFAULT_RULE]
    if not rule.parameters:
        return rule.function
    made: Callable[..., Any] = rule.function(**{name: _argument(name, getattr(spec, name)) for name in rule.parameters})
    return made


def _argument(name: str, given: int | str | None) -> int | float | None:
    """Give counts as they are and percentages as fractions below 1, as triggers take them.

    A fraction is moved by `_ROUNDING` parts of itself to the generous side, so that 29% of 100 is 29 whatever floats
    say (0.29 * 100 < 29), and 100%, which as 1.0 would be a count, stays below 1.
    """
    if not isinstance(given, str):
        return given
    percent, is_most = int(given.removesuffix("%")), name == "at_most"
    if percent == 100 and is_most:
        return None
    return percent / 100 * (1 + (_ROUNDING if is_most else -_ROUNDING))
