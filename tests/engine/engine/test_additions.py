"""What goes beyond classic: loops, retry rules, states of later releases, branches over maps; on every executor."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

import flowkiln
from flowkiln import Flow, case, context, get_run_logger, task
from flowkiln.core.edge import Edge
from flowkiln.engine import signals
from flowkiln.engine.executors import Executor
from flowkiln.engine.flow_runner import FlowRunner
from flowkiln.engine.state import (
    Cached,
    Cancelled,
    Crashed,
    Failed,
    Mapped,
    Paused,
    Retrying,
    Running,
    Skipped,
    State,
    Success,
    TriggerFailed,
    ValidationFailed,
)
from flowkiln.engine.task_runner import TaskRunner
from flowkiln.states.state import utc_now
from flowkiln.tasks.control_flow import ifelse, merge, switch
from flowkiln.triggers import (
    all_failed,
    all_finished,
    any_failed,
    any_successful,
    manual_only,
    not_all_skipped,
    some_failed,
    some_successful,
)


@task
def add(x: int, y: int = 1) -> int:
    """Add."""
    return x + y


def count_to_three(start: int = 0) -> int:
    """Loop three times, adding up."""
    count = context.get("task_loop_count", 1)
    total: int = context.get("task_loop_result", start) + count
    if count < 3:
        raise signals.LOOP(f"iteration {count}", result=total)
    return total


class TestLoops:
    """LOOP in flows."""

    def test_only_the_last_iteration_is_seen_downstream(self, any_executor: Executor) -> None:
        """Its value is the result."""
        with Flow("f") as flow:
            looped = flowkiln.task(count_to_three)(add(9))
            after = add(looped)
        final = flow.run(executor=any_executor)
        assert type(final.result[looped]) is Success
        assert (final.result[looped].result, final.result[after].result) == (16, 17)

    def test_each_child_loops_by_itself(self, any_executor: Executor) -> None:
        """Mapped tasks loop too."""
        with Flow("f") as flow:
            looped = flowkiln.task(count_to_three).map(flowkiln.task(lambda: [0, 10])())
        assert flow.run(executor=any_executor).result[looped].result == [6, 16]

    def test_a_retry_goes_on_at_the_same_iteration(self, any_executor: Executor) -> None:
        """What was done before it is not done again."""

        def body() -> list[int]:
            count = context.get("task_loop_count", 1)
            done: list[int] = context.get("task_loop_result", [])
            if count == 2 and context.task_run_count == 1:
                raise ValueError("once, in the middle")
            if count < 3:
                raise signals.LOOP(result=[*done, count * 10 + context.task_run_count])
            return [*done, count * 10 + context.task_run_count]

        with Flow("f") as flow:
            looped = flowkiln.task(body, max_retries=1, retry_delay=dt.timedelta(0))()
        assert flow.run(executor=any_executor).result[looped].result == [11, 22, 31]

    def test_a_loop_that_fails_fails(self, executor: Executor) -> None:
        """After its attempts at that iteration."""

        def body() -> None:
            if "task_loop_result" in context:
                raise ValueError("second iteration")
            raise signals.LOOP(result=1)

        with Flow("f") as flow:
            looped = flowkiln.task(body, max_retries=1, retry_delay=dt.timedelta(0))()
        final = flow.run(executor=executor)
        assert type(final.result[looped]) is Failed

    def test_a_loop_can_be_cached(self, executor: Executor) -> None:
        """By its last iteration."""
        with Flow("f") as flow:
            looped = flowkiln.task(count_to_three, cache_for=dt.timedelta(hours=1))()
        state = flow.run(executor=executor).result[looped]
        assert type(state) is Cached
        assert state.result == 6


class TestRetryRules:
    """Delays that grow, and failures that are not worth an attempt."""

    @pytest.mark.parametrize(
        ("options", "seconds"),
        [
            ({"retry_delay": dt.timedelta(seconds=10)}, [10, 10, 10]),
            ({"retry_delay": [dt.timedelta(seconds=1), dt.timedelta(seconds=5)]}, [1, 5, 5]),
            ({"retry_delay": lambda n: dt.timedelta(seconds=n * 7)}, [7, 14, 21]),
            ({"retry_delay": dt.timedelta(seconds=2), "retry_backoff": 3}, [2, 6, 18]),
            (
                {
                    "retry_delay": dt.timedelta(seconds=2),
                    "retry_backoff": 3,
                    "retry_max_delay": dt.timedelta(seconds=7),
                },
                [2, 6, 7],
            ),
        ],
    )
    def test_delays(self, options: dict[str, Any], seconds: list[int]) -> None:
        """Attempt by attempt."""
        failing = flowkiln.task(lambda: 1 // 0, max_retries=3, **options)
        state: State = Retrying(run_count=0)
        for expected in seconds:
            before = utc_now()
            state = TaskRunner(failing).run(state=Retrying(run_count=state.run_count))  # type: ignore[attr-defined]
            after = utc_now()
            assert isinstance(state, Retrying)
            delay = dt.timedelta(seconds=expected)
            assert before + delay <= state.start_time <= after + delay

    @pytest.mark.parametrize(
        ("retry_on", "retried"),
        [
            (ZeroDivisionError, True),
            (ArithmeticError, True),
            (ValueError, False),
            ([ValueError, ZeroDivisionError], True),
            (lambda error: "division" in str(error), True),
            (lambda error: False, False),
        ],
    )
    def test_only_what_retry_on_names_is_retried(self, retry_on: Any, retried: bool) -> None:
        """Others fail at once."""
        failing = flowkiln.task(lambda: 1 // 0, max_retries=1, retry_delay=dt.timedelta(0), retry_on=retry_on)
        assert isinstance(TaskRunner(failing).run(), Retrying if retried else Failed)


class TestLaterStates:
    """Cancelled, Crashed, ValidationFailed."""

    @pytest.mark.parametrize(
        ("trigger", "passes"),
        [(None, False), (all_failed, False), (any_failed, False), (any_successful, False), (all_finished, True)],
    )
    def test_cancelled_is_neither_successful_nor_failed(self, trigger: Any, passes: bool) -> None:
        """So most triggers reject it."""
        waiting = flowkiln.task(lambda: 1, trigger=trigger)
        state = TaskRunner(waiting).run(upstream_states={Edge(None, waiting): Cancelled()})
        assert type(state) is (Success if passes else TriggerFailed)

    def test_crashed_is_a_failure_for_triggers(self) -> None:
        """What cleans up runs."""
        cleanup = flowkiln.task(lambda: "clean", trigger=any_failed)
        assert TaskRunner(cleanup).run(upstream_states={Edge(None, cleanup): Crashed()}).result == "clean"

    def test_a_result_that_fails_validation(self, any_executor: Executor) -> None:
        """It is a failure, retried like any."""

        def body() -> None:
            raise signals.VALIDATIONFAIL("too small", result=3)

        with Flow("f") as flow:
            failed = flowkiln.task(body)()
        final = flow.run(executor=any_executor)
        assert type(final) is Failed
        assert type(final.result[failed]) is ValidationFailed
        assert final.result[failed].result == 3
        again = flowkiln.task(body, max_retries=1, retry_delay=dt.timedelta(0))
        assert isinstance(TaskRunner(again).run(), Retrying)


class TestLaterTriggers:
    """Bounds, and skips."""

    @pytest.mark.parametrize(
        ("trigger", "passes"),
        [
            (some_successful(at_least=2), True),
            (some_successful(at_least=3), False),
            (some_successful(at_least=0.5), True),
            (some_successful(at_most=1), False),
            (some_failed(at_least=1, at_most=1), True),
            (some_failed(at_least=0.5), False),
        ],
    )
    def test_bounds_over_the_children_of_a_map(self, trigger: Any, passes: bool, executor: Executor) -> None:
        """One of three fails."""
        with Flow("f") as flow:
            mapped = flowkiln.task(lambda x: 1 // x).map(flowkiln.task(lambda: [0, 1, 2])())
            after = flowkiln.task(lambda xs: "ran", trigger=trigger)(mapped)
        assert type(flow.run(executor=executor).result[after]) is (Success if passes else TriggerFailed)

    def test_not_all_skipped(self, executor: Executor) -> None:
        """All skipped: skipped with result None; one failed: TriggerFailed."""

        def skip() -> None:
            raise signals.SKIP

        options: dict[str, Any] = {"trigger": not_all_skipped, "skip_on_upstream_skip": False}
        with Flow("f") as flow:
            skipped, other, failed = flowkiln.task(skip)(), add(1), flowkiln.task(lambda: 1 // 0)()
            none = flowkiln.task(lambda: 1, **options)(upstream_tasks=[skipped])
            some = flowkiln.task(lambda: 1, **options)(upstream_tasks=[skipped, other])
            bad = flowkiln.task(lambda: 1, **options)(upstream_tasks=[skipped, failed])
        final = flow.run(executor=executor)
        assert (type(final.result[none]), final.result[none].result) == (Skipped, None)
        assert type(final.result[some]) is Success
        assert type(final.result[bad]) is TriggerFailed


class TestBranches:
    """switch, ifelse, case and merge, over maps too."""

    def test_case_and_merge(self, any_executor: Executor) -> None:
        """One branch runs, the other is skipped, the merge takes what there is."""
        with Flow("f") as flow:
            condition = flowkiln.task(lambda: "b")()
            with case(condition, "a"):
                one = add(1)
            with case(condition, "b"):
                two = add(2)
            merged = merge(one, two)
        final = flow.run(executor=any_executor)
        assert type(final.result[one]) is Skipped
        assert final.result[merged].result == 3

    def test_a_mapped_ifelse(self, executor: Executor) -> None:
        """Decided element by element."""
        with Flow("f") as flow:
            condition = flowkiln.task(lambda: [True, False, True])()
            numbers = flowkiln.task(lambda: [1, 2, 3])()
            yes = add.map(numbers, flowkiln.unmapped(100))
            no = add.map(numbers, flowkiln.unmapped(200))
            with pytest.warns(UserWarning, match="case of a switch"):
                ifelse(condition, yes, no, mapped=True)
            merged = merge(yes, no, mapped=True)
        assert flow.run(executor=executor).result[merged].result == [101, 202, 103]

    def test_a_switch_without_a_match_skips_every_case(self, executor: Executor) -> None:
        """And so the merge."""
        with Flow("f") as flow:
            one, two = flowkiln.task(lambda: 1), flowkiln.task(lambda: 2)
            switch(flowkiln.task(lambda: "none")(), {"a": one, "b": two})
            merged = merge(one, two)
        final = flow.run(executor=executor)
        assert [type(final.result[t]) for t in (one, two, merged)] == [Skipped] * 3


def test_the_run_logger_works_in_any_body(any_executor: Executor) -> None:
    """On workers too."""

    def body() -> str:
        get_run_logger().info("hello")
        return "logged"

    with Flow("f") as flow:
        logged = flowkiln.task(body)()
    assert flow.run(executor=any_executor).result[logged].result == "logged"


def test_paused_stays_a_plain_pending_state(executor: Executor) -> None:
    """As in classic, though later releases changed it."""
    with Flow("f") as flow:
        manual = flowkiln.task(lambda: 1, trigger=manual_only).map(upstream_tasks=[flowkiln.task(lambda: [1])()])
    final = FlowRunner(flow).run(executor=executor, return_tasks=[manual])
    assert type(final) is Running
    state = final.result[manual]
    assert isinstance(state, Mapped)
    assert type(state.map_states[0]) is Paused
    assert state.map_states[0].is_pending()
