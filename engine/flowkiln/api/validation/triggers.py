"""Triggers: a rule gets the parameters that it takes, and bounds can be satisfied."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic.alias_generators import to_camel

from flowkiln.api.flow import FlowSpec, Trigger, rules_with
from flowkiln.api.model import listed
from flowkiln.api.validation.problem import Problem
from flowkiln.triggers import RULES, not_all_skipped


def check_triggers(spec: FlowSpec) -> Iterator[Problem]:
    """Check the parameters of rules, and the rule that only works when skips are not passed on."""
    for index, task in enumerate(spec.tasks):
        field = f"tasks[{index}].trigger"
        yield from _check_parameters(field, task.trigger)
        yield from _check_bounds(field, task.trigger)
        rule = RULES.get(task.trigger.rule or "")
        if rule is not None and rule.function is not_all_skipped and task.skip_on_upstream_skip:
            yield Problem(
                f"{field}.rule",
                f"{rule.name} needs skipOnUpstreamSkip: false, or one skipped upstream task skips this one too",
            )


def _check_parameters(field: str, trigger: Trigger) -> Iterator[Problem]:
    """Check that what is given beside a rule is what the rule takes."""
    taken = RULES[trigger.rule].parameters if trigger.rule is not None else ()
    given = [name for name in trigger.model_fields_set - {"rule", "function"} if getattr(trigger, name) is not None]
    for name in sorted(set(given) - set(taken)):
        yield Problem(f"{field}.{to_camel(name)}", f"goes with the rules {listed(rules_with(name))} only")
    if taken and not given:
        yield Problem(field, f"{trigger.rule} needs {' or '.join(map(to_camel, taken))}")


def _check_bounds(field: str, trigger: Trigger) -> Iterator[Problem]:
    low, high = _percent(trigger.at_least), _percent(trigger.at_most)
    both_counts = isinstance(trigger.at_least, int) and isinstance(trigger.at_most, int)
    if (both_counts or (low is not None and high is not None)) and _number(trigger.at_least) > _number(trigger.at_most):
        yield Problem(f"{field}.atLeast", f"{trigger.at_least} is more than atMost, {trigger.at_most}")


def _percent(bound: int | str | None) -> int | None:
    return int(bound.removesuffix("%")) if isinstance(bound, str) else None


def _number(bound: int | str | None) -> int:
    percent = _percent(bound)
    return percent if percent is not None else int(bound or 0)
