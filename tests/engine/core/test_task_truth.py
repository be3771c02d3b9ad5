"""A task has no truth value where its result is meant: the refusal says what to write."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from flowkiln import Flow, Task, task


@task
def number() -> int:
    """Give a number."""
    return 5


@pytest.mark.parametrize(
    "ask",
    [
        lambda a: 1 if a > 1 else 2,
        lambda a: 1 if a else 2,
        lambda a: not a,
        lambda a: a and 1,
        lambda a: a or 1,
        lambda a: a.is_equal(1) and a,
        lambda a: 1 < a < 3,
        lambda a: [1 for _ in range(3) if a],
        bool,
        lambda a: any([a]),
    ],
)
def test_a_task_in_a_flow_block_has_none(ask: Callable[[Any], Any]) -> None:
    """In every place where Python asks for one."""
    with (
        Flow("f"),
        pytest.raises(TypeError, match=r"known only when the flow runs.*case\(task, True\).*ifelse.*not_\(\)"),
    ):
        ask(number())


def test_what_is_in_a_result_is_not_known() -> None:
    """Neither in a flow block nor after it."""
    with Flow("f"):
        result = number()
        with pytest.raises(TypeError, match=r"known only when the flow runs.*case"):
            1 in result  # noqa: B015
    with pytest.raises(TypeError, match="known only when the flow runs"):
        1 in result  # noqa: B015


def test_outside_a_flow_block() -> None:
    """A plain task is an object like any other; that of an operator stands for its result everywhere."""
    with Flow("f"):
        result = number()
        larger = result > 1
    assert Task()
    assert result
    with pytest.raises(TypeError, match="known only when the flow runs"):
        bool(larger)


def test_a_flow_that_runs_inside_its_own_block() -> None:
    """Nothing of the engine asks tasks for their truth."""
    with Flow("f") as flow:
        result = number.map(upstream_tasks=[[1, 2]])
        last = number(upstream_tasks=[result])
        final = flow.run()
    assert final.result[last].result == 5
