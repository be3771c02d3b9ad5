from __future__ import annotations

import pickle
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy
import pytest

from flowkiln import Flow, Task, context, triggers
from flowkiln.api.flow import Trigger as TriggerSpec
from flowkiln.engine.signals import PAUSE, SKIP, TRIGGERFAIL
from flowkiln.engine.state import (
    Cancelled,
    Failed,
    Pending,
    Resume,
    Retrying,
    Running,
    Skipped,
    State,
    Success,
    TriggerFailed,
)

Trigger = Callable[[set[State]], bool]

good, bad = Success, Failed

# Which upstream states each trigger admits.
TABLE: list[tuple[Trigger, list[list[type[State]]], list[list[type[State]]]]] = [
    (
        triggers.all_successful,
        [[good, good], [good, Skipped], []],
        [[good, bad], [TriggerFailed], [Cancelled], [Pending]],
    ),
    (triggers.all_failed, [[bad, TriggerFailed]], [[good, bad], [Skipped], [Cancelled]]),
    (triggers.any_successful, [[good, bad], [Skipped, bad]], [[bad, bad], [Pending]]),
    (triggers.any_failed, [[good, bad], [TriggerFailed, good]], [[good, Skipped], [Cancelled]]),
    (triggers.all_finished, [[good, bad, Skipped, Cancelled]], [[good, Pending], [Running], [Retrying]]),
    (triggers.some_successful(at_least=2), [[good, good, bad]], [[good, bad]]),
    (triggers.some_successful(at_least=0.5), [[good, bad]], [[good, bad, bad]]),
    (triggers.some_successful(at_most=1), [[good, bad], [bad]], [[good, good]]),
    (triggers.some_successful(at_least=1, at_most=0.5), [[good, bad]], [[good, good], [bad, bad]]),
    (triggers.some_successful(), [[good], [bad], []], []),
    (triggers.some_failed(at_least=1), [[good, bad], [TriggerFailed]], [[good, Skipped]]),
    (triggers.some_failed(at_most=0), [[good, Skipped]], [[good, bad]]),
    (triggers.some_failed(at_least=0.34, at_most=0.5), [[good, bad]], [[good, good, bad], [bad, bad, good]]),
    (triggers.not_all_skipped, [[good, Skipped], [good]], [[good, bad], [Skipped, bad]]),
]


def states(kinds: list[type[State]]) -> set[State]:
    """Make one state of each class."""
    return {kind() for kind in kinds}


class TestTable:
    @pytest.mark.parametrize(
        ("trigger", "upstream"), [(trigger, kinds) for trigger, admitted, _ in TABLE for kinds in admitted]
    )
    def test_passes(self, trigger: Trigger, upstream: list[type[State]]) -> None:
        """The trigger returns true for these upstream states."""
        assert trigger(states(upstream)) is True

    @pytest.mark.parametrize(
        ("trigger", "upstream"), [(trigger, kinds) for trigger, _, refused in TABLE for kinds in refused]
    )
    def test_refuses(self, trigger: Trigger, upstream: list[type[State]]) -> None:
        """The trigger raises TRIGGERFAIL, and the message names it."""
        with pytest.raises(TRIGGERFAIL, match='Trigger was "'):
            trigger(states(upstream))


class TestNames:
    @pytest.mark.parametrize("name", ["all_successful", "all_failed", "any_successful", "any_failed", "all_finished"])
    def test_messages_name_the_trigger(self, name: str) -> None:
        """A refusal says which trigger it was."""
        upstream = {"all_failed": [good], "any_failed": [good], "all_finished": [Pending]}.get(name, [bad])
        with pytest.raises(TRIGGERFAIL, match=f'Trigger was "{name}"'):
            getattr(triggers, name)(states(upstream))

    def test_always_run_is_all_finished(self) -> None:
        """Two names for one object."""
        assert triggers.always_run is triggers.all_finished


class TestRules:
    """What a Flow document may name."""

    def test_every_parameter_is_a_field_of_the_custom_resource(self) -> None:
        """A trigger with a parameter that no document can give would be a rule that nobody can use."""
        fields = set(TriggerSpec.model_fields) - {"rule", "function"}
        assert {name for rule in triggers.RULES.values() for name in rule.parameters} == fields

    @pytest.mark.parametrize("rule", triggers.RULES.values(), ids=triggers.RULES)
    def test_each_says_what_it_does(self, rule: triggers.Rule) -> None:
        """The reference has one sentence for each rule: `Run …`, `Pause …`."""
        assert rule.summary.split()[0] in ("Run", "Pause")
        assert rule.summary.endswith(".")
        assert len(rule.summary) < 150

    def test_a_rule_is_named_after_its_trigger(self) -> None:
        """The name follows from the function, and so does what a document has to give."""

        def half_skipped(upstream_states: Any) -> bool:
            """Run if half were skipped. Not one more."""
            return True

        def some_skipped(at_least: int | None = None) -> Trigger:
            """Make a trigger: run if so many were skipped. Bounds are inclusive."""
            return half_skipped

        rules = triggers.rules_of(half_skipped, some_skipped)
        assert [(name, rule.parameters, rule.summary) for name, rule in rules.items()] == [
            ("HalfSkipped", (), "Run if half were skipped."),
            ("SomeSkipped", ("at_least",), "Run if so many were skipped."),
        ]


class TestManualOnly:
    def test_pauses_unless_resumed(self) -> None:
        """Only the context decides; a Resume among the upstream states has no effect."""
        with pytest.raises(PAUSE, match="manual_only"):
            triggers.manual_only({Resume()})
        with context(resume=True):
            assert triggers.manual_only(set()) is True


class TestNotAllSkipped:
    def test_skips_with_the_result_none(self) -> None:
        """When all upstream tasks were skipped so is this one, and its result is None."""
        with pytest.raises(SKIP) as skip:
            triggers.not_all_skipped({Skipped(), Skipped()})
        assert isinstance(skip.value.state, Skipped)
        assert skip.value.state.result is None


class TestFactories:
    @pytest.mark.parametrize("factory", [triggers.some_successful, triggers.some_failed])
    @pytest.mark.parametrize("bound", [-1, -0.5, True])
    def test_bounds_are_checked(self, factory: Callable[..., Trigger], bound: float) -> None:
        """A bound that is no count and no fraction is refused when the flow is written."""
        with pytest.raises(ValueError, match="at_most"):
            factory(at_most=bound)

    @pytest.mark.parametrize("factory", [triggers.some_successful, triggers.some_failed])
    def test_a_bound_that_is_no_number_is_refused(self, factory: Callable[..., Trigger]) -> None:
        """A share written as text is told by the argument's name and what to write."""
        with pytest.raises(TypeError, match=r"at_least is a count, or a fraction below 1.*'50%'"):
            factory(at_least="50%")

    @pytest.mark.parametrize("bound", [numpy.int64(2), numpy.float32(0.5), Fraction(1, 2), Decimal("0.5")])
    def test_any_kind_of_number_is_a_bound(self, bound: Any) -> None:
        """What compares like a number is one."""
        assert triggers.some_successful(at_least=bound)({Success(), Success()})

    def test_survive_pickling_and_equal(self) -> None:
        """A trigger travels with its task, and two of the same bounds are equal."""
        trigger = triggers.some_failed(at_least=2)
        assert pickle.loads(pickle.dumps(trigger)) == trigger == triggers.some_failed(at_least=2)
        assert trigger != triggers.some_failed(at_least=3)

    def test_in_a_flow(self) -> None:
        """A bounded trigger decides for a task of a flow."""

        class Fail(Task):
            def run(self) -> None:
                raise ValueError("on purpose")

        with Flow("f") as flow:
            upstream = [Task()(), Fail()(), Fail()()]
            runs = Task(trigger=triggers.some_failed(at_least=2))(upstream_tasks=upstream)
            refuses = Task(trigger=triggers.some_successful(at_least=0.5))(upstream_tasks=upstream)
        result = flow.run().result
        assert isinstance(result[runs], Success)
        assert isinstance(result[refuses], TriggerFailed)
