"""`Flow.run`: until finished, or until nothing can go on by itself; again and again on a schedule."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

import flowkiln
from flowkiln import Flow, Parameter, Task, context, task
from flowkiln.engine import signals
from flowkiln.engine.executors import Executor
from flowkiln.engine.flow_runner import FlowRunner
from flowkiln.engine.state import (
    Cached,
    Failed,
    Mapped,
    Paused,
    Pending,
    Resume,
    Retrying,
    Running,
    Scheduled,
    Skipped,
    State,
    Success,
)
from flowkiln.states.state import utc_now
from flowkiln.triggers import manual_only
from flowkiln.utilities.debug import raise_on_exception
from flowkiln.utilities.tasks import pause_task


class Passes(FlowRunner):
    """A runner class of the user's: it gets classic passes."""


RUNNERS = [None, Passes]


@task
def add(x: int, y: int = 1) -> int:
    """Add."""
    return x + y


def failing_times(count: int, delay: float = 0.0, **options: Any) -> Any:
    """Make a task that fails on its first attempts."""

    def body(x: int = 0) -> int:
        if context.task_run_count <= count:
            raise ValueError(f"attempt {context.task_run_count}")
        return x + context.task_run_count

    return flowkiln.task(body, max_retries=count, retry_delay=dt.timedelta(seconds=delay), name="failing", **options)


class TestArguments:
    """Keywords are parameters or go to the runner."""

    def test_parameters_by_dict_and_by_keyword(self, any_executor: Executor) -> None:
        """Keywords win."""
        with Flow("f") as flow:
            result = add(Parameter("a"), Parameter("b", default=5))
        final = flow.run({"a": 1, "b": 2}, b=3, executor=any_executor)
        assert final.result[result].result == 4
        assert flow.run(a=1, executor=any_executor).result[result].result == 6

    def test_unknown_parameters_are_named(self) -> None:
        """In a dict; as a keyword it might be the runner's."""
        with pytest.raises(ValueError, match="nope"):
            Flow("f").run({"nope": 1})
        with pytest.raises(TypeError, match="nope"):
            Flow("f").run(nope=1)

    def test_missing_parameters_are_named(self) -> None:
        """Before anything runs."""
        with Flow("f") as flow:
            add(Parameter("a"))
        with pytest.raises(ValueError, match="'a'"):
            flow.run()

    def test_return_tasks_cannot_be_given(self) -> None:
        """All tasks are returned."""
        with pytest.raises(ValueError, match="`return_tasks` keyword cannot be provided"):
            Flow("f").run(return_tasks=[])

    def test_a_runner_class_may_take_keywords_of_its_own(self) -> None:
        """They are checked against its `run`."""

        class Own(FlowRunner):
            def run(self, *args: Any, mine: int = 0, **kwargs: Any) -> State:  # type: ignore[override]
                return Success(f"mine is {mine}", result={})

        assert Flow("f").run(runner_cls=Own, mine=3).message == "mine is 3"

    def test_arguments_of_the_caller_are_not_modified(self) -> None:
        """Parameters, states, context."""
        with Flow("f") as flow:
            result = add(Parameter("a"))
        parameters, states, ctx = {"a": 1}, {result: Pending()}, {"c": 1}
        flow.run(parameters, task_states=states, context=ctx)
        assert (parameters, states, ctx) == ({"a": 1}, {result: Pending()}, {"c": 1})


@pytest.mark.parametrize("runner", RUNNERS)
class TestResult:
    """The state's result maps every task to its state."""

    def test_every_task_is_in_it(self, runner: Any, executor: Executor) -> None:
        """Those that never ran are Pending."""
        with Flow("f") as flow:
            one = add(1)
            manual = add(one, task_args={"trigger": manual_only})
            never = add(manual)
        final = flow.run(runner_cls=runner, executor=executor)
        assert type(final) is Running
        assert set(final.result) == flow.tasks
        assert type(final.result[manual]) is Paused
        assert type(final.result[never]) is Pending
        assert final.result[never].message == "Task not run."

    def test_a_finished_state_runs_nothing(self, runner: Any) -> None:
        """It keeps type and message."""
        flow = Flow("f", tasks=[Task()])
        given = Skipped("not today")
        final = flow.run(state=given, runner_cls=runner)
        assert type(final) is Skipped
        assert final.message == "not today"
        assert [type(state) for state in final.result.values()] == [Pending]
        assert given.result != final.result

    def test_given_finished_states_stand(self, runner: Any, executor: Executor) -> None:
        """Failed too; the others run."""
        with Flow("f") as flow:
            one = add(1)
            two = add(2)
        failed = Failed("before")
        final = flow.run(task_states={one: failed}, runner_cls=runner, executor=executor)
        assert type(final) is Failed
        assert final.result[one] is failed
        assert final.result[two].result == 3

    def test_an_earlier_run_is_continued(self, runner: Any, executor: Executor) -> None:
        """Its result is the next one's task_states."""
        with Flow("f") as flow:
            one = add(1)
            manual = add(one, task_args={"trigger": manual_only})
            two = add(manual)
        waiting = flow.run(runner_cls=runner, executor=executor)
        states = {**waiting.result, manual: Resume(cached_inputs=waiting.result[manual].cached_inputs)}
        final = flow.run(task_states=states, runner_cls=runner, executor=executor)
        assert type(final) is Success
        assert final.result[one] is waiting.result[one]
        assert final.result[two].result == 4

    def test_a_given_flow_state_brings_its_task_states(self, runner: Any) -> None:
        """The state of a run that waited is all that is needed."""
        with Flow("f") as flow:
            one = add(1)
        given = Running(result={one: Success(result=100)})
        assert flow.run(state=given, runner_cls=runner).result[one].result == 100

    def test_an_error_of_the_run_is_returned_as_it_is(self, runner: Any) -> None:
        """Its result is the exception."""

        class Broken(Executor):
            pass

        with Flow("f") as flow:
            add(1)
        final = flow.run(executor=Broken(), runner_cls=runner)
        assert type(final) is Failed
        assert isinstance(final.result, NotImplementedError)
        with raise_on_exception(), pytest.raises(NotImplementedError):
            flow.run(executor=Broken(), runner_cls=runner)

    def test_with_raise_on_exception_errors_of_tasks_are_raised(self, runner: Any, any_executor: Executor) -> None:
        """Through every executor."""
        with Flow("f") as flow:
            add("a")
        with raise_on_exception(), pytest.raises(TypeError):
            flow.run(executor=any_executor, runner_cls=runner)


@pytest.mark.parametrize("runner", RUNNERS)
class TestRetries:
    """Retries go on until they are used up."""

    def test_it_goes_on_until_finished(self, runner: Any, any_executor: Executor) -> None:
        """With downstream tasks waiting meanwhile."""
        with Flow("f") as flow:
            once = failing_times(2)()
            after = add(once)
        final = flow.run(executor=any_executor, runner_cls=runner)
        assert type(final) is Success
        assert (final.result[once].result, final.result[after].result) == (3, 4)

    def test_inputs_of_a_retry(self, runner: Any, executor: Executor) -> None:
        """They are there for each attempt."""
        with Flow("f") as flow:
            once = failing_times(1)(add(9))
        assert flow.run(executor=executor, runner_cls=runner).result[once].result == 12

    def test_attempts_are_bounded(self, runner: Any, executor: Executor) -> None:
        """Then it is Failed."""
        runs: list[int] = []

        def body() -> None:
            raise ValueError

        def count(_: Any, __: State, new: State) -> None:
            if new.is_running():
                runs.append(1)

        with Flow("f") as flow:
            failing = flowkiln.task(body, max_retries=2, retry_delay=dt.timedelta(0))()
        handlers = [count] if not str(executor).startswith("<Executor: Dask") else None
        final = flow.run(executor=executor, runner_cls=runner, task_runner_state_handlers=handlers)
        assert type(final.result[failing]) is Failed
        assert len(runs) == (3 if handlers else 0)

    def test_a_retry_is_waited_for(self, runner: Any, executor: Executor) -> None:
        """Its delay passes, and it comes after it."""
        with Flow("f") as flow:
            once = failing_times(1, delay=0.2)()
        before = utc_now()
        final = flow.run(executor=executor, runner_cls=runner)
        assert final.result[once].is_successful()
        assert utc_now() - before >= dt.timedelta(seconds=0.2)

    def test_mapped_children_are_retried_alone(self, runner: Any, any_executor: Executor) -> None:
        """A reducer waits for all of them."""

        def body(x: int) -> int:
            if x == 1 and context.task_run_count == 1:
                raise ValueError
            return x * 10

        with Flow("f") as flow:
            values = flowkiln.task(lambda: [0, 1, 2])()
            mapped = flowkiln.task(body, max_retries=1, retry_delay=dt.timedelta(0)).map(values)
            total = flowkiln.task(lambda xs: sum(xs))(mapped)
        final = flow.run(executor=any_executor, runner_cls=runner)
        assert final.result[mapped].result == [0, 10, 20]
        assert final.result[total].result == 30

    def test_other_branches_go_on_meanwhile(self, runner: Any) -> None:
        """While one waits for its retry, what does not depend on it runs: here it fails until that has."""
        order: list[str] = []
        with Flow("f") as flow:

            def body() -> None:
                order.append("failing")
                if context.task_run_count == 1 or "second" not in order:
                    raise ValueError

            flowkiln.task(body, max_retries=100, retry_delay=dt.timedelta(seconds=0.05))()
            first = flowkiln.task(lambda: order.append("first"))()
            flowkiln.task(lambda: order.append("second"))(upstream_tasks=[first])
        assert type(flow.run(runner_cls=runner)) is Success
        assert order[-1] == "failing"
        assert [name for name in order if name != "failing"] == ["first", "second"]


@pytest.mark.parametrize("runner", RUNNERS)
class TestWaiting:
    """A run that can do nothing by itself stops."""

    def test_a_paused_task_stops_the_run(self, runner: Any, executor: Executor) -> None:
        """With the flow Running, mapped tasks and blocked ones around it."""
        with Flow("f") as flow:
            values = flowkiln.task(lambda: [1, 2])()
            add.map(values)
            manual = flowkiln.task(lambda: 1, trigger=manual_only)()
            blocked = add(manual)
            add.map(values, upstream_tasks=[flowkiln.unmapped(blocked)])
        final = flow.run(runner_cls=runner, executor=executor)
        assert type(final) is Running
        assert type(final.result[manual]) is Paused

    def test_a_scheduled_task_that_is_blocked_stops_it_too(self, runner: Any) -> None:
        """Its start time has passed; it will not start by itself."""
        with Flow("f") as flow:
            manual = flowkiln.task(lambda: 1, trigger=manual_only)()
            blocked = add(manual)
        past = Scheduled(start_time=utc_now() - dt.timedelta(hours=1))
        final = flow.run(task_states={blocked: past}, runner_cls=runner)
        assert type(final) is Running
        assert type(final.result[blocked]) is Scheduled

    def test_a_retry_beside_a_paused_task_still_comes(self, runner: Any) -> None:
        """The run stops after it."""
        with Flow("f") as flow:
            manual = flowkiln.task(lambda: 1, trigger=manual_only)()
            once = failing_times(1, delay=0.05)()
        final = flow.run(runner_cls=runner)
        assert type(final) is Running
        assert final.result[once].is_successful()
        assert type(final.result[manual]) is Paused

    def test_paused_children_stop_it(self, runner: Any, executor: Executor) -> None:
        """Each can be resumed by its own state."""
        with Flow("f") as flow:
            values = flowkiln.task(lambda: [1, 2])()
            mapped = add.map(values, task_args={"trigger": manual_only})
        waiting = flow.run(runner_cls=runner, executor=executor)
        assert type(waiting) is Running
        children = waiting.result[mapped].map_states
        assert [type(child) for child in children] == [Paused, Paused]
        states = {
            **waiting.result,
            mapped: Mapped(map_states=[Resume(cached_inputs=child.cached_inputs) for child in children]),
        }
        final = flow.run(task_states=states, runner_cls=runner, executor=executor)
        assert type(final) is Success
        assert final.result[mapped].result == [2, 3]

    def test_a_start_time_that_is_to_come_is_waited_for(self, runner: Any) -> None:
        """Of the flow and of a task."""
        with Flow("f") as flow:
            one = add(1)
        soon = utc_now() + dt.timedelta(seconds=0.1)
        final = flow.run(
            state=Scheduled(start_time=soon, result={}),
            task_states={one: Scheduled(start_time=soon)},
            runner_cls=runner,
        )
        assert type(final) is Success
        assert utc_now() >= soon


def note_changes(seen: list[str]) -> Any:
    """Make a handler that notes old and new state."""
    return lambda _obj, old, new: seen.append(f"{type(old).__name__}→{type(new).__name__}")


class TestFlowHandlers:
    """Pending→Running once, Running→Running only when nothing runs and the flow waits, Running→final once."""

    def test_a_run_without_waiting(self, executor: Executor) -> None:
        """A retry that is due at once is no wait."""
        seen: list[str] = []
        with Flow("f", state_handlers=[note_changes(seen)]) as flow:
            add(failing_times(1)())
        flow.run(executor=executor)
        assert seen == ["Scheduled→Running", "Running→Success"]

    def test_a_run_that_waits_for_a_retry(self, executor: Executor) -> None:
        """Once for each wait."""
        seen: list[str] = []
        with Flow("f", state_handlers=[note_changes(seen)]) as flow:
            failing_times(2, delay=0.5)()
        flow.run(executor=executor)
        assert seen == ["Scheduled→Running", "Running→Running", "Running→Running", "Running→Success"]

    def test_a_run_that_ends_waiting(self) -> None:
        """Nothing more will happen by itself."""
        seen: list[str] = []
        with Flow("f", state_handlers=[note_changes(seen)]) as flow:
            flowkiln.task(lambda: 1, trigger=manual_only)()
        flow.run()
        assert seen == ["Scheduled→Running", "Running→Running"]

    def test_a_handler_may_end_a_run_that_waits(self) -> None:
        """What it returns is the outcome."""

        def give_up(_: Any, old: State, new: State) -> State | None:
            return Failed("no patience") if old.is_running() and new.is_running() else None

        with Flow("f", state_handlers=[give_up]) as flow:
            once = failing_times(1, delay=3600)()
        final = flow.run()
        assert final.message == "no patience"
        assert type(final.result[once]) is Retrying


class Twice:
    """A schedule of two runs, just now; `next` takes `n` only."""

    def __init__(self) -> None:
        start = utc_now()
        self.left = [start - dt.timedelta(seconds=1), start]
        self.given = list(self.left)

    def next(self, n: int) -> list[dt.datetime]:
        """Give the next one."""
        return [self.left.pop(0)] if self.left else []


class TestSchedules:
    """A flow with a schedule runs until it has no more runs."""

    def test_each_run_is_fresh(self) -> None:
        """Given task states are for the first one only; the last one's state is returned."""
        runs: list[Any] = []
        schedule = Twice()
        with Flow("f", schedule=schedule) as flow:  # type: ignore[arg-type]
            one = flowkiln.task(lambda: runs.append(context.scheduled_start_time))()
        final = flow.run(task_states={one: Success(result=1)})
        assert runs == [schedule.given[1]]
        assert final.result[one].result is None

    def test_an_empty_schedule_is_an_error(self) -> None:
        """It says why nothing runs."""
        schedule = Twice()
        schedule.left = []
        with pytest.raises(ValueError, match="no more scheduled runs"):
            Flow("f", schedule=schedule).run()  # type: ignore[arg-type]

    def test_errors_of_the_schedule_propagate(self) -> None:
        """They are nothing of the run's."""

        class Broken:
            def next(self, n: int) -> list[dt.datetime]:
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            Flow("f", schedule=Broken()).run()  # type: ignore[arg-type]

    @pytest.mark.parametrize("runner", RUNNERS)
    def test_times_stay_the_same_in_all_passes(self, runner: Any) -> None:
        """The scheduled time, and the date."""
        found: list[Any] = []

        def body() -> None:
            found.append((context.scheduled_start_time, context.date))
            if context.task_run_count == 1:
                raise ValueError

        schedule = Twice()
        schedule.left = schedule.left[:1]
        with Flow("f", schedule=schedule) as flow:  # type: ignore[arg-type]
            flowkiln.task(body, max_retries=1, retry_delay=dt.timedelta(0))()
        flow.run(runner_cls=runner)
        assert found[0] == found[1]
        assert found[0][0] == schedule.given[0]

    def test_a_time_that_the_user_set_stands(self) -> None:
        """In the context around the run."""
        found: list[Any] = []
        with Flow("f") as flow:
            flowkiln.task(lambda: found.append(context.scheduled_start_time))()
        mine = dt.datetime(2001, 1, 1, tzinfo=dt.UTC)
        with context(scheduled_start_time=mine):
            flow.run()
        assert found == [mine]


class TestCaches:
    """Cached states: validated when given, final when reached in this run."""

    @pytest.mark.parametrize("runner", RUNNERS)
    def test_a_valid_one_is_taken_and_an_expired_one_is_not(self, runner: Any, executor: Executor) -> None:
        """Both came from the caller."""
        with Flow("f") as flow:
            cached = flowkiln.task(lambda: 2, cache_for=dt.timedelta(hours=1))()
        valid = Cached(result=50, cached_result_expiration=utc_now() + dt.timedelta(hours=1))
        expired = Cached(result=50, cached_result_expiration=utc_now() - dt.timedelta(hours=1))
        assert flow.run(task_states={cached: valid}, runner_cls=runner, executor=executor).result[cached] == valid
        assert flow.run(task_states={cached: expired}, runner_cls=runner, executor=executor).result[cached].result == 2

    @pytest.mark.parametrize("runner", RUNNERS)
    def test_one_that_was_reached_in_this_run_is_final(self, runner: Any) -> None:
        """Its validator is not asked in later passes, also for children."""
        asked: list[int] = []
        runs: list[int] = []

        def refuse(*_: Any) -> bool:
            asked.append(1)
            return False

        options = {"cache_for": dt.timedelta(hours=1), "cache_validator": refuse}
        with Flow("f") as flow:
            values = flowkiln.task(lambda: [1, 2])()
            flowkiln.task(lambda: runs.append(1), **options)()
            flowkiln.task(lambda x: runs.append(x), **options).map(values)
            failing_times(2)()
        flow.run(runner_cls=runner)
        assert len(runs) == 3
        assert not asked


def test_start_tasks_hold_for_all_passes(executor: Executor) -> None:
    """What is not downstream of them is never visited."""
    with Flow("f") as flow:
        one = add(1)
        once = failing_times(1)(one)
        other = add(2)
    final = flow.run(start_tasks=[once], task_states={one: Success(result=5)}, executor=executor)
    assert type(final) is Success
    assert final.result[once].result == 7
    assert type(final.result[other]) is Pending


def test_start_tasks_may_be_any_iterable() -> None:
    """One that can be read only once is read only once."""
    with Flow("partly") as flow:
        first = task(lambda: 1, name="first")()
        second = task(lambda x=5: x, name="second")(x=first)
    state = flow.run(start_tasks=(one for one in [second]))
    assert type(state.result[first]) is Pending
    assert type(state.result[second]) is Success


def test_a_start_task_has_its_own_default_where_nothing_is_upstream() -> None:
    """Its inputs are the results at hand; of a task that has not run there is none."""
    with Flow("partly") as flow:
        second = task(lambda x=5: x, name="second")(x=task(lambda: 1, name="first")())
    assert flow.run(start_tasks=[second]).result[second].result == 5


def test_the_time_of_a_given_scheduled_state_is_the_planned_one() -> None:
    """Tasks see when the run was planned for, not when it began."""
    planned = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
    with Flow("late") as flow:
        told = task(lambda: context.scheduled_start_time, name="told")()
    assert flow.run(state=Scheduled(start_time=planned)).result[told].result == planned


def test_a_flow_runs_inside_a_task(any_executor: Executor) -> None:
    """Also on the worker of another run; nothing of the outer run leaks in."""

    def inner() -> Any:
        with Flow("inner") as flow:
            looked = flowkiln.task(lambda: (context.flow_name, context.map_index, context.task_run_count))()
        return flow.run().result[looked].result

    with Flow("outer") as flow:
        outer = flowkiln.task(inner).map(upstream_tasks=[flowkiln.task(lambda: [1, 2])()])
    assert flow.run(executor=any_executor).result[outer].result == [("inner", None, 1)] * 2


def test_a_flow_inside_a_resumed_loop_is_neither_resumed_nor_in_a_loop(executor: Executor) -> None:
    """Its tasks start fresh."""

    def inner() -> Any:
        if "task_loop_result" not in context:
            raise signals.LOOP(result=100)
        pause_task()
        with Flow("inner") as flow:
            looped = flowkiln.task(lambda: context.get("task_loop_result"))()
            manual = flowkiln.task(lambda: 1, trigger=manual_only)()
        states = flow.run().result
        return states[looped].result, type(states[manual]).__name__

    with Flow("outer") as flow:
        outer = flowkiln.task(inner)()
    waiting = flow.run(executor=executor)
    assert type(waiting.result[outer]) is Paused
    loop = {"task_loop_count": 2, "task_loop_result": 100}
    final = flow.run(executor=executor, task_states={outer: Resume()}, task_contexts={outer: loop})
    assert final.result[outer].result == (None, "Paused")


def test_a_skip_signal_in_a_flow(any_executor: Executor) -> None:
    """What is downstream is skipped, and the flow succeeds."""

    def skip() -> None:
        raise signals.SKIP("enough")

    with Flow("f") as flow:
        skipped = flowkiln.task(skip)()
        after = add(skipped)
    final = flow.run(executor=any_executor)
    assert type(final) is Success
    assert final.result[skipped].message == "enough"
    assert type(final.result[after]) is Skipped
