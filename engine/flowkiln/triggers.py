"""Triggers decide from the upstream states whether a task runs.

A trigger is called with the set of upstream states. It returns true, or raises a signal such as `TRIGGERFAIL`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from flowkiln.common.context import context
from flowkiln.states.signals import PAUSE, SKIP, TRIGGERFAIL
from flowkiln.states.state import State

Trigger = Callable[[Collection[State]], bool]


def _refusal(name: str, why: str) -> TRIGGERFAIL:
    return TRIGGERFAIL(f'Trigger was "{name}" but {why}.')


def all_finished(upstream_states: Collection[State]) -> bool:
    """Run once all upstream tasks are finished, however they ended. `always_run` is the same."""
    if not all(state.is_finished() for state in upstream_states):
        raise _refusal("all_finished", "some of the upstream tasks were not finished")
    return True


always_run = all_finished


def manual_only(upstream_states: Collection[State]) -> bool:
    """Pause until somebody resumes the task run."""
    if not context.get("resume"):
        raise PAUSE('Trigger function is "manual_only"; the task run waits to be resumed.')
    return True


def all_successful(upstream_states: Collection[State]) -> bool:
    """Run if all upstream tasks succeeded; skipped ones count as success."""
    if not all(state.is_successful() for state in upstream_states):
        raise _refusal("all_successful", "some of the upstream tasks failed")
    return True


def all_failed(upstream_states: Collection[State]) -> bool:
    """Run if all upstream tasks failed."""
    if not all(state.is_failed() for state in upstream_states):
        raise _refusal("all_failed", "some of the upstream tasks did not fail")
    return True


def any_successful(upstream_states: Collection[State]) -> bool:
    """Run if at least one upstream task succeeded."""
    if not any(state.is_successful() for state in upstream_states):
        raise _refusal("any_successful", "none of the upstream tasks succeeded")
    return True


def any_failed(upstream_states: Collection[State]) -> bool:
    """Run if at least one upstream task failed."""
    if not any(state.is_failed() for state in upstream_states):
        raise _refusal("any_failed", "none of the upstream tasks failed")
    return True


def not_all_skipped(upstream_states: Collection[State]) -> bool:
    """Run if all upstream tasks succeeded and not all were skipped; if all were, skip this task with result None.

    The task needs `skip_on_upstream_skip=False`, or one skipped upstream task skips it before its trigger is called.
    """
    if upstream_states and all(state.is_skipped() for state in upstream_states):
        raise SKIP('Trigger was "not_all_skipped" but all of the upstream tasks were skipped.', result=None)
    if not all(state.is_successful() for state in upstream_states):
        raise _refusal("not_all_skipped", "some of the upstream tasks failed")
    return True


_DECIDED_BY_KINDS = (
    all_successful,
    all_finished,
    manual_only,
    all_failed,
    any_successful,
    any_failed,
    not_all_skipped,
)


def is_decided_by_kinds(trigger: Callable[..., object]) -> bool:
    """Return whether a trigger asks only which classes of states there are, not how many states of each."""
    return any(trigger is one for one in _DECIDED_BY_KINDS)


@dataclass(frozen=True, slots=True)
class _Bounds:
    """Inclusive bounds; below 1 a fraction of the upstream states, else a count."""

    at_least: float | None
    at_most: float | None

    def __post_init__(self) -> None:
        for name in ("at_least", "at_most"):
            bound = getattr(self, name)
            complaint = f"{name} is a count, or a fraction below 1, of upstream states; not {bound!r}."
            try:
                fits = bound is None or (not isinstance(bound, bool) and bound >= 0)
            except TypeError:
                raise TypeError(complaint) from None
            if not fits:
                raise ValueError(complaint)

    def admit(self, count: int, total: int) -> bool:
        least = 0 if self.at_least is None else _as_count(self.at_least, total)
        most = total if self.at_most is None else _as_count(self.at_most, total)
        return least <= count <= most


def _as_count(bound: float, total: int) -> float:
    return bound * total if bound < 1 else bound


@dataclass(frozen=True, slots=True)
class _Counting:
    """A trigger that requires the number of upstream states that satisfy `counts` to be within the bounds."""

    name: str
    counts: Callable[[State], bool]
    ended: str
    bounds: _Bounds

    def __call__(self, upstream_states: Collection[State]) -> bool:
        count = sum(map(self.counts, upstream_states))
        if not self.bounds.admit(count, len(upstream_states)):
            raise _refusal(self.name, f"{count} of {len(upstream_states)} upstream tasks {self.ended}")
        return True


def some_successful(at_least: float | None = None, at_most: float | None = None) -> Trigger:
    """Make a trigger: run if this many upstream tasks succeeded. Bounds are inclusive; below 1 they are fractions.

    Raises:
        TypeError, ValueError: a bound is not a number, or negative.
    """
    return _Counting("some_successful", State.is_successful, "succeeded", _Bounds(at_least, at_most))


def some_failed(at_least: float | None = None, at_most: float | None = None) -> Trigger:
    """Make a trigger: run if this many upstream tasks failed. Bounds are inclusive; below 1 they are fractions.

    Raises:
        TypeError, ValueError: a bound is not a number, or negative.
    """
    return _Counting("some_failed", State.is_failed, "failed", _Bounds(at_least, at_most))


@dataclass(frozen=True, slots=True)
class Rule:
    """A trigger rule of documents: the name of its function in CamelCase.

    Without `parameters` the function is the trigger; with them it makes the trigger, and a document may set each.
    """

    function: Callable[..., Any]
    name: str
    parameters: tuple[str, ...]

    @property
    def summary(self) -> str:
        """Return what the trigger does: the first sentence of its docstring."""
        first = (inspect.getdoc(self.function) or "").partition("\n")[0]
        sentence = first.removeprefix("Make a trigger: ").partition(". ")[0].rstrip(".")
        return f"{sentence[:1].upper()}{sentence[1:]}."


def rules_of(*functions: Callable[..., Any]) -> Mapping[str, Rule]:
    """Return the rules of the functions of this module, by name."""
    found = {}
    for function in functions:
        name = "".join(word.capitalize() for word in function.__name__.split("_"))
        parameters = tuple(inspect.signature(function).parameters)
        found[name] = Rule(function, name, () if parameters == _OF_A_TRIGGER else parameters)
    return MappingProxyType(found)


_OF_A_TRIGGER = ("upstream_states",)

RULES = rules_of(
    all_successful,
    all_failed,
    any_successful,
    any_failed,
    all_finished,
    manual_only,
    some_successful,
    some_failed,
    not_all_skipped,
)
"""The triggers that a Flow document may name. The schema, the checks and the documentation are derived from this."""

DEFAULT_RULE = "AllSuccessful"
