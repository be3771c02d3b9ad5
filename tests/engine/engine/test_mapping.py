"""Mapped tasks: children, reduction, maps over maps, flattening, re-runs; alike on every executor."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

import flowkiln
from flowkiln import Flow, Task, context, flatten, mapped, task, unmapped
from flowkiln.engine import signals
from flowkiln.engine.executors import Executor
from flowkiln.engine.flow_runner import FlowRunner
from flowkiln.engine.mapping import parts
from flowkiln.engine.result import NoResult, Result
from flowkiln.engine.state import (
    Failed,
    Mapped,
    Pending,
    Retrying,
    Running,
    Scheduled,
    Skipped,
    State,
    Success,
    TriggerFailed,
)
from flowkiln.engine.task_runner import TaskRunner
from flowkiln.states.state import utc_now
from flowkiln.triggers import all_finished, any_failed


@task
def add(x: int, y: int = 1) -> int:
    """Add."""
    return x + y


@task
def total(xs: list[int]) -> int:
    """Sum up."""
    return sum(xs)


def give(value: Any) -> Any:
    """Make a task whose result is `value`."""
    return flowkiln.task(lambda: value, name="give")


def no_two(x: int) -> int:
    """Fail for 2."""
    if x == 2:
        raise ValueError("two")
    return x


def skip_two(x: int) -> int:
    """Skip 2."""
    if x == 2:
        raise signals.SKIP("two")
    return x


def run(flow: Flow, executor: Executor) -> Any:
    """Run a flow and give its state."""
    return flow.run(executor=executor)


def kinds(states: list[State | None]) -> list[str]:
    """The class names of children."""
    return [type(state).__name__ for state in states]


class TestChildren:
    """One child for each element."""

    def test_one_for_each_element(self, any_executor: Executor) -> None:
        """The parent is Mapped and its result the list of theirs."""
        with Flow("f") as flow:
            result = add.map(give([1, 2, 3])(), unmapped(10))
        final = run(flow, any_executor)
        assert type(final.result[result]) is Mapped
        assert final.result[result].result == [11, 12, 13]
        assert [child.result for child in final.result[result].map_states] == [11, 12, 13]

    @pytest.mark.parametrize(
        ("value", "expected"),
        [((1, 2), [[1], [2]]), ("ab", [["a"], ["b"]]), (range(2), [[0], [1]]), ([], []), ("", [])],
    )
    def test_what_can_be_mapped_over(self, value: Any, expected: Any, executor: Executor) -> None:
        """Whatever can be indexed by integers; a string gives its characters."""
        with Flow("f") as flow:
            result = flowkiln.task(lambda x: [x]).map(give(value)())
        final = run(flow, executor)
        assert type(final) is Success
        assert final.result[result].result == expected

    def test_sequences_without_a_length(self, executor: Executor) -> None:
        """Indexed until IndexError."""

        class Old:
            def __getitem__(self, index: int) -> int:
                if index >= 3:
                    raise IndexError
                return index

        with Flow("f") as flow:
            result = add.map(give(Old())())
        assert run(flow, executor).result[result].result == [1, 2, 3]

    def test_the_shortest_wins(self, any_executor: Executor) -> None:
        """Like zip."""
        with Flow("f") as flow:
            result = add.map(give([1, 2, 3])(), give([10, 20])())
        assert run(flow, any_executor).result[result].result == [11, 22]

    def test_edges_without_a_key_map_too(self, executor: Executor) -> None:
        """A child for each element that it does not see."""
        with Flow("f") as flow:
            result = flowkiln.task(lambda: context.map_index).map(upstream_tasks=[give([7, 8, 9])()])
        assert run(flow, executor).result[result].result == [0, 1, 2]

    def test_without_a_mapped_edge_the_task_runs_once(self, executor: Executor) -> None:
        """All inputs unmapped."""
        with Flow("f") as flow:
            result = total.map(unmapped(give([1, 2])()))
        final = run(flow, executor)
        assert type(final.result[result]) is Success
        assert final.result[result].result == 3

    def test_one_argument_can_be_mapped_by_annotation(self, executor: Executor) -> None:
        """In a plain call."""
        with Flow("f") as flow:
            result = add(mapped(give([1, 2])()), 5)
        assert run(flow, executor).result[result].result == [6, 7]

    def test_children_are_runs_of_the_same_task(self, executor: Executor) -> None:
        """Each knows its index and full name."""
        with Flow("f") as flow:
            result = flowkiln.task(lambda x: (context.map_index, context.task_full_name), name="t").map(give("ab")())
        assert run(flow, executor).result[result].result == [(0, "t[0]"), (1, "t[1]")]

    def test_an_upstream_that_maps_nothing(self, any_executor: Executor) -> None:
        """Empty maps are empty all the way down, and a reducer gets the empty list."""
        with Flow("f") as flow:
            first = add.map(give([])())
            second = add.map(first)
            reduced = total(second)
        final = run(flow, any_executor)
        assert type(final) is Success
        assert (final.result[first].result, final.result[second].result) == ([], [])
        assert final.result[reduced].result == 0


class TestOneByOne:
    """Each child checks upstream, skip, trigger and retry on its own."""

    def test_a_failed_child_fails_only_its_own_downstream_child(self, any_executor: Executor) -> None:
        """A reducer is TriggerFailed; the parent is Mapped."""
        with Flow("f") as flow:
            first = flowkiln.task(no_two).map(give([1, 2, 3])())
            second = add.map(first)
            reduced = total(second)
        final = run(flow, any_executor)
        assert type(final) is Failed
        assert kinds(final.result[first].map_states) == ["Success", "Failed", "Success"]
        assert kinds(final.result[second].map_states) == ["Success", "TriggerFailed", "Success"]
        assert type(final.result[reduced]) is TriggerFailed
        results = final.result[second].result
        assert (results[0], results[2]) == (2, 4)
        assert isinstance(results[1], signals.TRIGGERFAIL)

    def test_a_skipped_child_skips_only_its_own(self, any_executor: Executor) -> None:
        """A reducer with the default rule is Skipped if any child is."""
        with Flow("f") as flow:
            first = flowkiln.task(skip_two).map(give([1, 2, 3])())
            second = add.map(first)
            reduced = total(second)
        final = run(flow, any_executor)
        assert type(final) is Success
        assert kinds(final.result[second].map_states) == ["Success", "Skipped", "Success"]
        assert final.result[second].result[1] == NoResult
        assert isinstance(final.result[first].result[1], signals.SKIP)
        assert type(final.result[reduced]) is Skipped

    def test_a_reducer_that_takes_anything_gets_all_results(self, executor: Executor) -> None:
        """The exception for a failed child."""
        with Flow("f") as flow:
            first = flowkiln.task(no_two).map(give([1, 2])())
            reduced = flowkiln.task(lambda xs: [type(x).__name__ for x in xs], trigger=all_finished)(first)
        assert run(flow, executor).result[reduced].result == ["int", "ValueError"]

    def test_the_parents_trigger_is_the_childrens(self, executor: Executor) -> None:
        """Each child asks it about its own upstream child."""
        with Flow("f") as flow:
            first = flowkiln.task(no_two).map(give([1, 2])())
            cleaned = flowkiln.task(lambda: "clean", trigger=any_failed).map(upstream_tasks=[first])
        assert kinds(run(flow, executor).result[cleaned].map_states) == ["TriggerFailed", "Success"]

    def test_a_child_of_a_map_over_an_unmapped_map(self, executor: Executor) -> None:
        """It gets the whole list, and waits for all of it."""
        with Flow("f") as flow:
            first = add.map(give([1, 2, 3])())
            result = flowkiln.task(lambda x, xs: x + sum(xs)).map(give([10, 20])(), unmapped(first))
        assert run(flow, executor).result[result].result == [19, 29]

    def test_several_maps_over_one_run_its_bodies_once(self, executor: Executor) -> None:
        """Also on lazy executors."""
        handled: list[int] = []

        def count(_: Any, __: State, new: State) -> None:
            if new.is_running():
                handled.append(1)

        with Flow("f") as flow:
            first = flowkiln.task(lambda x: (x, object().__hash__())).map(give([1, 2])())
            one = flowkiln.task(lambda x: x).map(first)
            other = flowkiln.task(lambda x: x).map(first)
        final = flow.run(executor=executor)
        assert final.result[one].result == final.result[other].result == final.result[first].result


class TestNothingToMap:
    """An upstream that gives nothing to map over: skip rule, then trigger, then a failure that says what was wrong."""

    @pytest.mark.parametrize("value", [5, None, {"a": 1}, {1, 2}])
    def test_a_value_without_elements_fails_the_parent(self, value: Any, any_executor: Executor) -> None:
        """Naming argument and type; nothing at the level of the flow."""
        with Flow("f") as flow:
            result = add.map(give(value)())
            after = add.map(result)
        final = run(flow, any_executor)
        assert type(final) is Failed
        assert final.message == "Some reference tasks failed."
        failed = final.result[result]
        assert type(failed) is Failed
        assert "'x'" in failed.message
        assert type(value).__name__ in failed.message
        assert type(final.result[after]) is TriggerFailed

    def test_a_failed_upstream_trigger_fails_the_parent(self, any_executor: Executor) -> None:
        """Whatever its result is."""

        def fail() -> None:
            raise signals.FAIL("no", result=[1, 2, 3])

        with Flow("f") as flow:
            result = add.map(flowkiln.task(fail)())
        assert type(run(flow, any_executor).result[result]) is TriggerFailed

    def test_a_failed_upstream_and_a_trigger_that_takes_it(self, executor: Executor) -> None:
        """Then the parent fails: there is nothing to map."""
        with Flow("f") as flow:
            result = flowkiln.task(lambda x: x, trigger=all_finished).map(flowkiln.task(lambda: 1 // 0)())
        failed = run(flow, executor).result[result]
        assert type(failed) is Failed
        assert "'x'" in failed.message

    def test_a_skipped_upstream_skips_the_parent(self, any_executor: Executor) -> None:
        """By the skip rule, before the trigger is asked."""

        def skip() -> None:
            raise signals.SKIP

        with Flow("f") as flow:
            result = add.map(flowkiln.task(skip)())
        final = run(flow, any_executor)
        assert type(final) is Success
        assert type(final.result[result]) is Skipped

    def test_a_sequence_that_breaks_half_way(self, any_executor: Executor) -> None:
        """A child whose element cannot be had fails; its siblings do not."""
        with Flow("f") as flow:
            result = add.map(flowkiln.task(Breaking)())
        final = run(flow, any_executor)
        assert type(final) is Failed
        assert kinds(final.result[result].map_states) == ["Success", "Failed", "Success"]


class Breaking:
    """Three elements, of which one cannot be had."""

    def __len__(self) -> int:
        """Count."""
        return 3

    def __getitem__(self, index: int) -> int:
        """Give an element."""
        if index == 1:
            raise KeyError(index)
        return index


class TestFlatten:
    """One level of nesting is taken out."""

    def test_before_mapping(self, any_executor: Executor) -> None:
        """A child for each inner element."""
        with Flow("f") as flow:
            result = add.map(flatten(give([[1, 2], [], [3]])()))
            after = add.map(result)
        final = run(flow, any_executor)
        assert final.result[result].result == [2, 3, 4]
        assert final.result[after].result == [3, 4, 5]

    def test_before_passing_on(self, any_executor: Executor) -> None:
        """The task gets one flat list."""
        with Flow("f") as flow:
            result = total(flatten(give([[1, 2], [3]])()))
        assert run(flow, any_executor).result[result].result == 6

    def test_across_mapped_children(self, any_executor: Executor) -> None:
        """Each child's list is one level."""
        with Flow("f") as flow:
            lists = flowkiln.task(lambda n: list(range(n))).map(give([2, 0, 3])())
            each = add.map(flatten(lists))
            whole = total(flatten(lists))
        final = run(flow, any_executor)
        assert final.result[each].result == [1, 2, 1, 2, 3]
        assert final.result[whole].result == 4

    def test_unmapped_and_flattened(self, executor: Executor) -> None:
        """Every child gets the flat list, flattened once."""
        with Flow("f") as flow:
            result = flowkiln.task(lambda x, ys: (x, ys)).map(give([1, 2])(), unmapped(flatten(give([[[3]], [[4]]])())))
        assert run(flow, executor).result[result].result == [(1, [[3], [4]]), (2, [[3], [4]])]

    def test_a_failed_child_is_for_the_trigger_to_judge(self, executor: Executor) -> None:
        """Not an error of the flattening."""
        with Flow("f") as flow:
            lists = flowkiln.task(lambda n: [1 // n]).map(give([1, 0])())
            each = add.map(flatten(lists))
            whole = total(flatten(lists))
        final = run(flow, executor)
        assert type(final.result[each]) is TriggerFailed
        assert type(final.result[whole]) is TriggerFailed

    def test_a_failed_upstream_is_for_the_trigger_to_judge(self, executor: Executor) -> None:
        """Its exception is not flattened."""
        with Flow("f") as flow:
            failed = flowkiln.task(lambda: 1 // 0)()
            each = add.map(flatten(failed))
            whole = total(flatten(failed))
        final = run(flow, executor)
        assert type(final.result[each]) is TriggerFailed
        assert type(final.result[whole]) is TriggerFailed

    def test_what_cannot_be_flattened_fails_the_task(self, any_executor: Executor) -> None:
        """A failure of the task, not of the flow."""
        with Flow("f") as flow:
            flat = give([1, 2])()
            each = add.map(flatten(flat))
            whole = total(flatten(flat))
        final = run(flow, any_executor)
        assert final.message == "Some reference tasks failed."
        assert type(final.result[each]) is Failed
        assert isinstance(final.result[whole].result, TypeError)


class TestRerun:
    """A given Mapped state is expanded again."""

    def test_finished_children_are_kept(self, executor: Executor) -> None:
        """The very same objects; the others start from their states, or fresh."""
        with Flow("f") as flow:
            values = give([1, 2, 3])()
            result = add.map(values)
        kept = Success(result=100)
        waiting = Retrying(run_count=1, cached_inputs={"x": Result(9)})
        states = {result: Mapped(map_states=[kept, waiting, None])}
        final = flow.run(task_states=states, executor=executor)
        assert final.result[result].map_states[0] is kept
        assert final.result[result].result == [100, 3, 4]

    def test_without_upstream_results(self, executor: Executor) -> None:
        """As many children as before, with their own cached inputs."""
        with Flow("f") as flow:
            values = give([1, 2, 3])()
            result = add.map(values)
        waiting = [Retrying(run_count=1, cached_inputs={"x": Result(n)}) for n in (7, 8)]
        states = {values: Success(), result: Mapped(map_states=waiting)}  # type: ignore[arg-type]
        assert flow.run(task_states=states, executor=executor).result[result].result == [8, 9]

    def test_a_future_start_time_of_the_parent_holds_all_back(self, executor: Executor) -> None:
        """Nothing is mapped; the children would start fresh."""
        with Flow("f") as flow:
            result = add.map(give([1])())
        waiting = Scheduled(start_time=utc_now() + dt.timedelta(days=1))
        final = FlowRunner(flow).run(task_states={result: waiting}, return_tasks=[result], executor=executor)
        assert type(final) is Running
        assert final.result[result] is waiting

    def test_handlers_of_two_passes(self) -> None:
        """Three children, the first fails once: eight calls in pass one, three in pass two."""
        calls: list[int | None] = []

        def body(x: int) -> None:
            if x == 0 and context.task_run_count == 1:
                raise ValueError

        def note(_: Any, __: State, ___: State) -> None:
            calls.append(context.map_index)

        with Flow("f") as flow:
            values = give([0, 1, 2])()
            result = flowkiln.task(body, max_retries=1, retry_delay=dt.timedelta(0), state_handlers=[note]).map(values)
        first = FlowRunner(flow).run(return_tasks=[values, result])
        assert sorted(map(str, calls)) == ["0", "0", "0", "1", "1", "2", "2", "None"]
        calls.clear()
        second = FlowRunner(flow).run(state=first, task_states=first.result, return_tasks=[result])
        assert type(second) is Success
        assert sorted(map(str, calls)) == ["0", "0", "None"]
        assert second.result[result] is not first.result[result]
        assert second.result[result].map_states[1] is first.result[result].map_states[1]


class TestParentHandlers:
    """The parent's own change is handled once."""

    def test_a_handler_that_fails_the_parent(self, executor: Executor) -> None:
        """Its state is the outcome."""

        def broken(_: Any, __: State, new: State) -> None:
            if new.is_mapped():
                raise ValueError("no maps")

        with Flow("f") as flow:
            result = flowkiln.task(lambda x: x, state_handlers=[broken]).map(give([1, 2])())
        final = run(flow, executor)
        assert type(final) is Failed
        assert type(final.result[result]) is Failed


class TestPureParts:
    """The functions that say what a child takes."""

    def test_picking_keeps_the_handler_of_the_upstream(self) -> None:
        """And the state's class and message."""
        picked = parts.pick(Skipped("m", Result([1, 2], "handler")), (1,))
        assert type(picked) is Skipped
        assert (picked.message, picked._result) == ("m", Result(2, "handler"))

    def test_children_that_never_started_are_pending(self) -> None:
        """For triggers and finality."""
        states = parts.expanded([Mapped(map_states=[None, Success()])])
        assert [type(state) for state in states] == [Pending, Success]
        assert parts.reduced(Mapped(map_states=[None])).result == [NoResult]


def test_a_long_chain_of_maps(any_executor: Executor) -> None:
    """Ten maps one over the other, thirty elements."""
    with Flow("f") as flow:
        last: Task = give(list(range(30)))()
        for _ in range(10):
            last = add.map(last)
        reduced = total(last)
    assert run(flow, any_executor).result[reduced].result == sum(range(30)) + 300


_seen: list[tuple[str, str]] = []


class Watching(TaskRunner):
    """Notes the changes of plain task runs and mapped parents; a class that workers import, so that there is one."""

    def call_runner_target_handlers(self, old_state: State, new_state: State) -> State:
        """Called for each change."""
        if context.get("map_index") is None:
            _seen.append((type(old_state).__name__, type(new_state).__name__))
        return super().call_runner_target_handlers(old_state, new_state)


def test_a_runner_class_sees_mapped_parents_change(executor: Executor) -> None:
    """Also when neither task nor runner has handlers."""
    _seen.clear()
    with Flow("f") as flow:
        added = add.map([1, 2])
    FlowRunner(flow, task_runner_cls=Watching).run(return_tasks=[added], executor=executor)
    assert ("Pending", "Mapped") in _seen
