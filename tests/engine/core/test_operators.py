from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import pytest

from flowkiln import Flow, Task
from flowkiln.core import Edge
from flowkiln.tasks.core import operators
from flowkiln.tasks.core.constants import Constant


class Seven(Task):
    def run(self) -> int:
        """Give seven."""
        return 7


BINARY = [
    ("Add", operator.add),
    ("Sub", operator.sub),
    ("Mul", operator.mul),
    ("Div", operator.truediv),
    ("FloorDiv", operator.floordiv),
    ("Mod", operator.mod),
    ("Pow", operator.pow),
    ("And", operator.and_),
    ("GreaterThan", operator.gt),
    ("GreaterThanOrEqual", operator.ge),
    ("LessThan", operator.lt),
    ("LessThanOrEqual", operator.le),
]


def run_alone(flow: Flow, task: Task) -> Any:
    """Run an operator task on its constant operands."""
    values = {edge.key: edge.upstream_task.run() for edge in flow.edges_to(task)}
    return task.run(**values)


class TestOperators:
    @pytest.mark.parametrize(("name", "operate"), BINARY)
    def test_the_task_on_the_left(self, name: str, operate: Callable[[Any, Any], Task]) -> None:
        """An operator on a task makes the operator task of that name, with Python's result."""
        with Flow("f") as flow:
            result = operate(Seven(), 2)
        assert type(result) is getattr(operators, name)
        expected = bool(7 and 2) if name == "And" else operate(7, 2)
        assert run_alone(flow, result) == expected

    @pytest.mark.parametrize(("name", "operate"), BINARY)
    def test_the_task_on_the_right(self, name: str, operate: Callable[[Any, Any], Task]) -> None:
        """The other operand may stand on the left; the order of operands is kept."""
        with Flow("f") as flow:
            result = operate(2, Seven())
        expected = bool(2 and 7) if name == "And" else operate(2, 7)
        assert run_alone(flow, result) == expected

    def test_indexing(self) -> None:
        """t[key] makes a task; the key may be a task as well."""
        with Flow("f") as flow:
            table, key = Constant({"k": 5}), Constant("k")
            assert run_alone(flow, table["k"]) == 5
            assert run_alone(flow, table[key]) == 5

    def test_comparison_by_method(self) -> None:
        """Equality of results is asked for by name, since == is identity."""
        with Flow("f") as flow:
            seven = Seven()
            assert run_alone(flow, seven.is_equal(7)) is True
            assert run_alone(flow, seven.is_not_equal(7)) is False
            assert run_alone(flow, seven.not_()) is False

    def test_or_exists_without_an_operator(self) -> None:
        """The class Or gives the truth of either."""
        assert operators.Or().run(0, 3) is True
        assert operators.Or().run(0, "") is False


class TestPipes:
    def test_chain(self) -> None:
        """a | b | c makes two state edges and gives the last."""
        a, b, c = Task(), Task(), Task()
        with Flow("f") as flow:
            assert (a | b | c) is c
        assert flow.edges == {Edge(a, b), Edge(b, c)}

    def test_a_value_on_the_right_gives_the_new_constant(self) -> None:
        """a | 1 returns the task that was made of 1, so that a chain can go on."""
        a, c = Task(), Task()
        with Flow("f") as flow:
            one = a | 1
            assert isinstance(one, Constant)
            assert one.value == 1
            assert (a | 2 | c) is c
        assert Edge(a, one) in flow.edges

    def test_a_value_on_the_left(self) -> None:
        """1 | t makes a state edge from a constant and gives t."""
        t = Task()
        with Flow("f") as flow:
            assert (1 | t) is t
        (edge,) = flow.edges
        assert edge.upstream_task.value == 1
        assert edge.key is None

    def test_outside_a_flow(self) -> None:
        """There must be a flow to put the edge into."""
        with pytest.raises(ValueError, match="No Flow was passed"):
            Task() | Task()
