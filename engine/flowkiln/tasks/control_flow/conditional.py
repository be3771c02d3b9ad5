"""Branches that depend on the result of a task, and their join."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any, cast

from flowkiln.common.exceptions import FlowkilnWarning
from flowkiln.core.active import active_flow
from flowkiln.core.binding import as_task, edge_options
from flowkiln.core.flow import Flow
from flowkiln.core.task import Task
from flowkiln.states.result import NoResultType, same_value, shape_of
from flowkiln.states.signals import SKIP
from flowkiln.triggers import not_all_skipped
from flowkiln.utilities.tasks import tags


class CompareValue(Task):
    """Skip this task, and so its downstream tasks, unless its input equals `value`."""

    def __init__(self, value: Any, **kwargs: Any) -> None:
        self.value = value
        kwargs.setdefault("name", f'CompareValue: "{value}"')
        super().__init__(**kwargs)

    def run(self, value: Any) -> None:
        """Compare the input with `value`.

        Raises:
            signals.SKIP: the values differ.
        """
        if _differ(value, self.value):
            raise SKIP(f'The value "{value}" does not match "{self.value}".')


def _differ(one: Any, other: Any) -> bool:
    """Return the result of `!=`; if it is not a truth value, as for arrays and tables, compare the contents."""
    if shape_of(one) or shape_of(other):
        return not same_value(one, other)
    try:
        return bool(one != other)
    except Exception:
        return not same_value(one, other)


class _CompareTruth(CompareValue):
    """Compare the truth of its input with `value`."""

    def run(self, value: Any) -> None:
        super().run(bool(value))


class Merge(Task):
    """Return the first result of branches that were not skipped; skipped itself if all were.

    Raises:
        ValueError: `skip_on_upstream_skip` is true.
    """

    takes_skipped_results = False

    def __init__(self, **kwargs: Any) -> None:
        if kwargs.setdefault("skip_on_upstream_skip", False):
            raise ValueError("A Merge joins branches that may be skipped, so it needs skip_on_upstream_skip=False.")
        kwargs.setdefault("trigger", not_all_skipped)
        super().__init__(**kwargs)

    def run(self, /, **task_results: Any) -> Any:
        """Return the first result, in the order of the argument numbers; None if there is none."""
        in_order = (task_results[key] for key in sorted(task_results, key=lambda key: (len(key), key)))
        return next((result for result in in_order if not isinstance(result, NoResultType)), None)


def switch(condition: Any, cases: Mapping[Any, Any], mapped: bool = False) -> None:
    """Run the tasks whose case equals the result of `condition`; skip the others.

    Args:
        condition: the task (or value) to compare.
        cases: tasks by value.
        mapped: whether to compare each element of the condition's result; the cases are then mapped too.
    """
    with tags("switch"):
        _branch(condition, [(CompareValue(value), task) for value, task in cases.items()], mapped)


def ifelse(condition: Any, true_task: Any, false_task: Any, mapped: bool = False) -> None:
    """Run one of two tasks, depending on the truth of the result of `condition`; skip the other.

    Args:
        condition: the task (or value) to compare.
        true_task: runs if `bool(result)` is true.
        false_task: runs otherwise.
        mapped: whether to compare each element of the condition's result; both tasks are then mapped too.
    """
    with tags("switch"):
        _branch(condition, [(_CompareTruth(True), true_task), (_CompareTruth(False), false_task)], mapped)


def _branch(condition: Any, branches: list[tuple[CompareValue, Any]], mapped: bool) -> None:
    complaint = "Could not infer an active Flow context for a switch; use `with Flow(...)`."
    flow = cast("Flow", active_flow(None, complaint))
    options = edge_options(condition, mapped)
    condition = as_task(condition, flow)
    for compare, branch in branches:
        task = as_task(branch, flow)
        if task in flow.tasks and flow.upstream_tasks(task):
            warnings.warn(
                f"{task} is a case of a switch but has upstream tasks, which run whether it is skipped or not "
                "(as the elements of a list do); put the switch before those.",
                FlowkilnWarning,
                stacklevel=3,
            )
        flow.add_edge(condition, compare, "value", options.mapped, validate=True, flattened=options.flattened)
        flow.add_edge(compare, task, mapped=options.mapped, validate=True)


def merge(*tasks: Any, flow: Flow | None = None, mapped: bool = False) -> Merge:
    """Join branches: return a task whose result is that of the first branch that was not skipped.

    Args:
        *tasks: the ends of the branches.
        flow: the flow to bind in; None means the active flow.
        mapped: whether to join once per element.
    """
    numbered = {f"task_{i}": task for i, task in enumerate(tasks, start=1)}
    return Merge().bind(flow=flow, mapped=mapped, **numbered)
