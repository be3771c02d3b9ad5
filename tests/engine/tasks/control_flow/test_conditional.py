from __future__ import annotations

from typing import Any

import numpy
import pandas
import pytest

from flowkiln import Flow, Task, case, context, task
from flowkiln.core import Edge
from flowkiln.engine.result import NoResult
from flowkiln.engine.signals import SKIP
from flowkiln.engine.state import Skipped, Success, TriggerFailed
from flowkiln.tasks.control_flow import ifelse, merge, switch
from flowkiln.tasks.control_flow.conditional import CompareValue, Merge
from flowkiln.triggers import not_all_skipped
from flowkiln.utilities.exceptions import FlowkilnWarning


class Return(Task):
    def __init__(self, value: Any, **kwargs: Any) -> None:
        self.value = value
        super().__init__(**kwargs)

    def run(self) -> Any:
        """Give the value."""
        return self.value


class Skip(Task):
    def run(self) -> None:
        """Skip."""
        raise SKIP("on purpose", result=7)


@task
def inc(x: int) -> int:
    """Add one."""
    return x + 1


class TestCompareValue:
    def test_equal_passes_and_different_skips(self) -> None:
        """Equality decides; nothing is returned."""
        assert CompareValue(5).run(5) is None  # type: ignore[func-returns-value]
        with pytest.raises(SKIP, match='"4" does not match "5"'):
            CompareValue(5).run(4)

    def test_name(self) -> None:
        """The default name shows the value."""
        assert CompareValue("a").name == 'CompareValue: "a"'
        assert CompareValue("a", name="n").name == "n"


class TestSwitch:
    def test_only_the_matching_case_runs(self) -> None:
        """The others are skipped; without a match all are."""
        for value, kinds in (("a", [Success, Skipped]), ("b", [Skipped, Success]), ("z", [Skipped, Skipped])):
            a, b = Return(1), Return(2)
            with Flow("f") as flow:
                assert switch(Return(value), {"a": a, "b": b}) is None  # type: ignore[func-returns-value]
            state = flow.run()
            assert [type(state.result[each]) for each in (a, b)] == kinds

    def test_number_and_tags_of_tasks(self) -> None:
        """n cases add at most 1 + 2n tasks; those made in the call get a tag."""
        a = Return(1)
        with Flow("f") as flow:
            switch("a", {"a": a, "b": 2})
        assert len(flow.tasks) == 5
        assert {each for each in flow.tasks if "switch" in each.tags} == set(flow.tasks) - {a}
        assert "tags" not in context

    def test_a_case_with_upstream_tasks_warns(self) -> None:
        """Elements of a list run although the list is skipped, so that is said."""
        with Flow("f"), pytest.warns(FlowkilnWarning, match="upstream"):
            switch(Return("a"), {"a": [Return(1)]})

    def test_needs_a_flow(self) -> None:
        """Outside of a block there is nowhere to put the tasks."""
        with pytest.raises(ValueError, match="Could not infer an active Flow context"):
            switch(Return(1), {1: Return(2)})

    def test_mapped(self) -> None:
        """With mapped each element decides for its own child."""
        with Flow("f") as flow:
            values = Return(["a", "b", "a"])
            one, two = inc.map(Return([1, 2, 3])), inc.map(Return([10, 20, 30]))
            with pytest.warns(FlowkilnWarning, match="upstream"):
                switch(values, {"a": one, "b": two}, mapped=True)
            both = merge(one, two, mapped=True)
        assert flow.run().result[both].result == [2, 21, 4]


class TestIfelse:
    @pytest.mark.parametrize("condition", [True, "text", 1, [0], False, "", 0, None])
    def test_truth_decides(self, condition: Any) -> None:
        """D7: anything true takes the one branch, anything false the other, with five tasks in all."""
        yes, no = Return("yes"), Return("no")
        with Flow("f") as flow:
            assert ifelse(Return(condition), yes, no) is None  # type: ignore[func-returns-value]
            assert len(flow.tasks) == 5
            both = merge(yes, no)
        assert flow.run().result[both].result == ("yes" if condition else "no")


class TestMerge:
    def test_constructor(self) -> None:
        """Merge runs after skips by nature, and says so if told otherwise."""
        assert Merge().skip_on_upstream_skip is False
        assert Merge().trigger is not_all_skipped
        assert Merge().takes_skipped_results is False
        with pytest.raises(ValueError, match="skip_on_upstream_skip=False"):
            Merge(skip_on_upstream_skip=True)

    def test_the_first_real_result_wins(self) -> None:
        """In argument order, also past ten; None is a result, NoResult is none."""
        results = {f"task_{i}": i for i in (11, 10, 3, 2)}
        assert Merge().run(**results) == 2
        assert Merge().run(task_1=NoResult, task_2=None, task_3=3) is None
        assert Merge().run(task_1=NoResult, task_10=10, task_9=9) == 9
        assert Merge().run(task_1=NoResult) is None

    def test_edges(self) -> None:
        """Branches come in as task_1, task_2 …, in a flow that may be passed."""
        a, b = Task(), Task()
        flow = Flow("f")
        made = merge(a, b, flow=flow, mapped=True)
        assert flow.edges_to(made) == {Edge(a, made, "task_1", mapped=True), Edge(b, made, "task_2", mapped=True)}

    def test_all_skipped_is_skipped_with_none(self) -> None:
        """D8: merge ends Skipped with the result None when every branch was skipped."""
        with Flow("f") as flow:
            made = merge(Skip()(), Skip()())
        state = flow.run().result[made]
        assert isinstance(state, Skipped)
        assert state.result is None

    def test_a_skipped_input_is_no_result(self) -> None:
        """D8: whatever a skipped branch carries, the branch that ran gives the result."""
        with Flow("f") as flow:
            made = merge(Skip()(), Return(None)())
        state = flow.run().result[made]
        assert type(state) is Success
        assert state.result is None

    def test_a_failed_branch(self) -> None:
        """A failure upstream fails the trigger."""
        with Flow("f") as flow:
            made = merge(Return(1)(), inc("a"))
        assert isinstance(flow.run().result[made], TriggerFailed)


TABLES = [numpy.array([1, 2]), pandas.DataFrame({"a": [1, 2]}), pandas.Series([1, 2])]


class TestArraysAndTables:
    """Values that Python cannot compare as a whole go through branches like any other."""

    @pytest.mark.parametrize("table", TABLES, ids=lambda table: type(table).__name__)
    def test_a_branch_may_give_one(self, table: Any) -> None:
        """`merge` gives the branch's own object."""
        with Flow("f") as flow:
            yes, no = Return(table)(), Return(None)()
            ifelse(Return(True)(), yes, no)
            both = merge(no, yes)
        assert flow.run().result[both].result is table

    @pytest.mark.parametrize("table", TABLES, ids=lambda table: type(table).__name__)
    def test_a_case_compares_it(self, table: Any) -> None:
        """It equals its copy, and neither None nor something longer nor what its elements equal."""
        with Flow("f") as flow:
            result = Return(table)()
            branches = []
            for wanted in (table.copy(), None, type(table)([1, 2, 3]), 1):
                with case(result, wanted):
                    branches.append(Return("ran")())
        states = flow.run().result
        assert [states[branch].is_skipped() for branch in branches] == [False, True, True, True]

    def test_a_missing_value_equals_itself_alone(self) -> None:
        """Its own `==` answers neither yes nor no."""
        with Flow("f") as flow:
            branches = []
            for value, wanted in ((pandas.NA, pandas.NA), (pandas.NA, 5), (5, pandas.NA)):
                with case(Return(value)(), wanted):
                    branches.append(Return("ran")())
        states = flow.run().result
        assert [type(states[branch]).__name__ for branch in branches] == ["Success", "Skipped", "Skipped"]

    @pytest.mark.parametrize("empty", [numpy.array([]), pandas.DataFrame()])
    def test_an_empty_one_is_not_none(self, empty: Any) -> None:
        """No element differs, but the whole does."""
        with pytest.raises(SKIP):
            CompareValue(None).run(empty)

    def test_scalars_of_numpy_equal_numbers(self) -> None:
        """They are no arrays."""
        CompareValue(1).run(numpy.float64(1.0))
        with pytest.raises(SKIP):
            CompareValue(numpy.int64(2)).run(1)

    def test_one_that_cannot_be_mapped_over_is_told_by_argument_and_type(self) -> None:
        """D5: the parent fails with words about the argument, not about the truth of a table."""
        with Flow("f") as flow:
            made = inc.map(Return(pandas.DataFrame({"a": [1, 2]}))())
        state = flow.run().result[made]
        assert "argument 'x' is of type DataFrame" in state.message
