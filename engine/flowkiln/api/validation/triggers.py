"""Triggers: bounds go with rules that count, and must be satisfiable."""

from __future__ import annotations

from collections.abc import Iterator

from flowkiln.api.flow import FlowSpec, TaskSpec, TriggerRule
from flowkiln.api.validation.problem import Problem


def check_triggers(spec: FlowSpec) -> Iterator[Problem]:
    """Check `atLeast` and `atMost`, and the rule that only works when skips are not passed on."""
    for index, task in enumerate(spec.tasks):
        yield from _check_bounds(f"tasks[{index}].trigger", task)
        if task.trigger.rule is TriggerRule.NOT_ALL_SKIPPED and task.skip_on_upstream_skip:
            yield Problem(
                f"tasks[{index}].trigger.rule",
                "NotAllSkipped needs skipOnUpstreamSkip: false, or one skipped upstream task skips this one too",
            )


def _check_bounds(field: str, task: TaskSpec) -> Iterator[Problem]:
    trigger = task.trigger
    bounds = {"atLeast": trigger.at_least, "atMost": trigger.at_most}
    given = [name for name, bound in bounds.items() if bound is not None]
    if trigger.rule is not None and trigger.rule.takes_bounds:
        if not given:
            yield Problem(field, f"{trigger.rule} needs atLeast, atMost or both")
    elif given:
        yield Problem(f"{field}.{given[0]}", "goes with the rules SomeSuccessful and SomeFailed only")
    low, high = _percent(trigger.at_least), _percent(trigger.at_most)
    both_counts = isinstance(trigger.at_least, int) and isinstance(trigger.at_most, int)
    if (both_counts or (low is not None and high is not None)) and _number(trigger.at_least) > _number(trigger.at_most):
        yield Problem(f"{field}.atLeast", f"{trigger.at_least} is more than atMost, {trigger.at_most}")


def _percent(bound: int | str | None) -> int | None:
    return int(bound.removesuffix("%")) if isinstance(bound, str) else None


def _number(bound: int | str | None) -> int:
    percent = _percent(bound)
    return percent if percent is not None else int(bound or 0)
