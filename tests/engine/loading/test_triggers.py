from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flowkiln import triggers
from flowkiln.api.flow import Trigger
from flowkiln.engine.signals import TRIGGERFAIL
from flowkiln.engine.state import Failed, State, Success
from flowkiln.loading.triggers import build_trigger
from flowkiln.utilities.exceptions import FlowLoadError


def passes(spec: Trigger, successful: int, failed: int) -> bool:
    """Whether the trigger lets a task run after so many upstream tasks."""
    states: set[State] = {Success() for _ in range(successful)} | {Failed() for _ in range(failed)}
    try:
        return bool(build_trigger(spec, "task 'a'")(states))
    except TRIGGERFAIL:
        return False


class TestRules:
    @pytest.mark.parametrize("rule", [name for name, rule in triggers.RULES.items() if not rule.parameters])
    def test_a_rule_is_the_function_of_that_name(self, rule: str) -> None:
        """AllSuccessful is all_successful, and so on."""
        name = "".join(f"_{c.lower()}" if c.isupper() else c for c in rule).lstrip("_")
        assert build_trigger(Trigger(rule=rule), "task 'a'") is getattr(triggers, name)

    def test_default(self) -> None:
        """Nothing said means all_successful."""
        assert build_trigger(Trigger(), "task 'a'") is triggers.all_successful

    def test_function(self) -> None:
        """A function is imported; an error says whose trigger it is."""
        assert build_trigger(Trigger(function="flowkiln.triggers:any_failed"), "task 'a'") is triggers.any_failed
        with pytest.raises(FlowLoadError, match="task 'a', trigger: there is no module"):
            build_trigger(Trigger(function="kiln_nowhere:f"), "task 'a'")


class TestBounds:
    @pytest.mark.parametrize(
        ("bounds", "successful", "failed", "expected"),
        [
            ({"at_least": 2}, 2, 5, True),
            ({"at_least": 2}, 1, 0, False),
            ({"at_most": 2}, 2, 0, True),
            ({"at_most": 2}, 3, 0, False),
            ({"at_most": 0}, 0, 3, True),
            ({"at_most": 0}, 1, 3, False),
            ({"at_least": "100%"}, 3, 0, True),
            ({"at_least": "100%"}, 2, 1, False),
            ({"at_most": "100%"}, 3, 0, True),
            ({"at_most": "0%"}, 1, 9, False),
            ({"at_least": "0%"}, 0, 9, True),
        ],
    )
    def test_counts_and_shares(
        self, bounds: dict[str, int | str], successful: int, failed: int, expected: bool
    ) -> None:
        """Both kinds of bounds are inclusive, at the ends of their ranges too."""
        assert passes(Trigger(rule="SomeSuccessful", **bounds), successful, failed) is expected

    @settings(deadline=None)
    @given(percent=st.integers(0, 100), total=st.integers(1, 300), data=st.data())
    def test_shares_are_exact(self, percent: int, total: int, data: st.DataObject) -> None:
        """Whether a share is reached is decided as with whole numbers, whatever floats make of it."""
        count = data.draw(st.integers(0, total))
        least = Trigger(rule="SomeFailed", at_least=f"{percent}%")
        most = Trigger(rule="SomeFailed", at_most=f"{percent}%")
        assert passes(least, total - count, count) is (count * 100 >= percent * total)
        assert passes(most, total - count, count) is (count * 100 <= percent * total)
