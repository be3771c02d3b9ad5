from __future__ import annotations

from typing import Any

import pytest

from flowkiln import Flow, Parameter, Task, case, context, task
from flowkiln.core import Edge
from flowkiln.engine.state import Skipped, Success
from flowkiln.tasks.control_flow import merge
from flowkiln.tasks.control_flow.conditional import CompareValue


@task
def same(x: Any = None) -> Any:
    """Give the argument back."""
    return x


class TestCase:
    def test_one_comparison_above_the_first_tasks(self) -> None:
        """Tasks without upstream inside the block wait for the comparison; a parameter cannot, so it does not count."""
        with Flow("f") as flow:
            condition = same(1)
            outside = Task()()
            with case(condition, "a"):
                p = Parameter("p")
                first = same(p)
                second = same(first)
                third = Task()()
                third.set_upstream(outside)
        (compare,) = flow.get_tasks(task_type=CompareValue)
        assert compare.name == "case(a)"
        assert flow.edges_to(compare) == {Edge(condition, compare, "value")}
        assert flow.downstream_tasks(compare) == {first, third}
        assert flow.upstream_tasks(second) == {first}
        assert "case" not in context

    def test_branches_and_their_join(self) -> None:
        """Only the branch whose value equals the result runs, and merge gives its result."""
        with Flow("f") as flow:
            condition = same("b")
            with case(condition, "a"):
                a = same(same(1))
            with case(condition, "b"):
                b = same(same(2))
            both = merge(a, b)
        result = flow.run().result
        assert [type(result[each]) for each in (a, b)] == [Skipped, Success]
        assert result[both].result == 2

    def test_nested_blocks(self) -> None:
        """The inner comparison depends on the outer one."""
        with Flow("f") as flow:
            outer, inner = same("no"), same("yes")
            with case(outer, "yes"), case(inner, "yes"):
                t = same(1)
        below, above = flow.get_tasks(name="case(yes)")
        assert flow.upstream_tasks(below) == {inner, above}
        assert isinstance(flow.run().result[t], Skipped)

    def test_the_value_is_no_task(self) -> None:
        """The value is known when the flow is built."""
        with pytest.raises(TypeError, match="cannot be a task"):
            case(Task(), Task())

    def test_one_flow_per_block(self) -> None:
        """A block cannot spread over two flows, and its end restores the context all the same."""

        def spread() -> None:
            with case(Task(), 1):
                Task().bind(flow=Flow("f"))
                Task().bind(flow=Flow("g"))

        with pytest.raises(ValueError, match="a block for each flow"):
            spread()
        assert "case" not in context

    def test_an_empty_block_adds_nothing(self) -> None:
        """Without tasks there is nothing to decide."""
        with Flow("f") as flow, case(Task(), 1):
            pass
        assert flow.tasks == set()

    def test_replacing_by_a_collection_inside_a_block(self) -> None:
        """Flow.replace works inside a block as outside."""
        with Flow("f") as flow:
            old = Task()()
            with case(same(1), 1):
                same(2)
                flow.replace(old, [1, 2])
        assert old not in flow.tasks
