"""One pass over a flow: order, final state, handlers, context."""

from __future__ import annotations

import datetime as dt
import logging
from typing import Any

import pytest

import flowkiln
from flowkiln import Flow, Parameter, Task, context, task
from flowkiln.engine import signals
from flowkiln.engine.executors import Executor, LocalExecutor
from flowkiln.engine.flow_runner import FlowRunner
from flowkiln.engine.result import NoResult, Result
from flowkiln.engine.state import (
    Cancelled,
    Failed,
    Finished,
    Mapped,
    Paused,
    Pending,
    Resume,
    Retrying,
    Running,
    Scheduled,
    Skipped,
    State,
    Submitted,
    Success,
    TriggerFailed,
)
from flowkiln.engine.task_runner import TaskRunner
from flowkiln.states.state import utc_now
from flowkiln.triggers import all_finished, any_failed, manual_only
from flowkiln.utilities.debug import raise_on_exception

LATER = utc_now() + dt.timedelta(days=1)


@task
def number() -> int:
    """Give one."""
    return 1


@task
def add(x: int, y: int = 1) -> int:
    """Add."""
    return x + y


@task
def numbers() -> list[int]:
    """Give three numbers."""
    return [1, 2, 3]


@task
def fail() -> None:
    """Fail."""
    raise ValueError("failed")


@task
def skip() -> None:
    """Skip."""
    raise signals.SKIP("skipped")


@task(max_retries=1, retry_delay=dt.timedelta(0))
def fail_once() -> str:
    """Fail on the first attempt."""
    if context.task_run_count == 1:
        raise ValueError("first attempt")
    return "second"


@task
def total(values: list[int]) -> int:
    """Sum up."""
    return sum(values)


@task(trigger=all_finished)
def after(x: Any = None) -> str:
    """Say that it ran."""
    return "ran"


def note_changes(seen: list[str]) -> Any:
    """Make a handler that notes old and new state."""
    return lambda _obj, old, new: seen.append(f"{type(old).__name__}→{type(new).__name__}")


class TestFinalState:
    """Terminal tasks say whether it is over, reference tasks how it ended."""

    def test_all_reference_tasks_succeeded(self, executor: Executor) -> None:
        """And nobody asked for tasks: the result is empty."""
        with Flow("f") as flow:
            add(number())
        final = FlowRunner(flow).run(executor=executor)
        assert type(final) is Success
        assert (final.message, final.result) == ("All reference tasks succeeded.", {})

    def test_some_reference_task_failed(self, executor: Executor) -> None:
        """A failed one that is no reference task does not count."""
        with Flow("f") as flow:
            failed = fail()
            after(failed)
        assert type(FlowRunner(flow).run(executor=executor)) is Success
        flow.set_reference_tasks([failed])
        final = FlowRunner(flow).run(executor=executor)
        assert type(final) is Failed
        assert final.message == "Some reference tasks failed."

    def test_an_unfinished_terminal_task_keeps_it_running(self, executor: Executor) -> None:
        """Reference tasks never finish a flow early."""
        with Flow("f") as flow:
            failed = fail()
            fail_once()
        flow.set_reference_tasks([failed])
        final = FlowRunner(flow).run(executor=executor)
        assert type(final) is Running
        assert final.message == "Flow run in progress."

    def test_neither_failed_nor_all_successful(self) -> None:
        """A plain Finished reference task is no failure."""

        def finish(_: Any, __: State, new: State) -> State | None:
            return Finished() if new.is_successful() else None

        flow = Flow("f", tasks=[Task(state_handlers=[finish])])
        assert FlowRunner(flow).run().message == "No reference tasks failed."

    def test_a_cancelled_reference_task(self) -> None:
        """It cancels the flow, unless another one failed."""
        cancelled, failed = Task(), Task()
        flow = Flow("f", tasks=[cancelled, failed])
        final = FlowRunner(flow).run(task_states={cancelled: Cancelled()})
        assert type(final) is Cancelled
        assert final.message == "Some reference tasks were cancelled."
        assert type(FlowRunner(flow).run(task_states={cancelled: Cancelled(), failed: Failed()})) is Failed

    def test_skips_count_as_success(self, executor: Executor) -> None:
        """Also when everything was skipped."""
        with Flow("f") as flow:
            add(skip())
        assert type(FlowRunner(flow).run(executor=executor)) is Success

    def test_a_flow_without_tasks_succeeds(self, executor: Executor) -> None:
        """There is nothing that could fail."""
        assert type(FlowRunner(Flow("f")).run(executor=executor)) is Success

    def test_mapped_tasks_count_through_their_children(self, executor: Executor) -> None:
        """One failed child fails the flow."""
        with Flow("f") as flow:
            failing = flowkiln.task(lambda x: 1 // (x - 2)).map(numbers())
        final = FlowRunner(flow).run(executor=executor, return_tasks=[failing])
        assert type(final) is Failed
        assert type(final.result[failing]) is Mapped

    def test_the_decision_can_be_overridden(self, executor: Executor) -> None:
        """It gets the states with their results, and what it returns is final."""

        class Own(FlowRunner):
            def determine_final_state(
                self, key_states: set[State], return_states: dict[Task, State], terminal_states: set[State]
            ) -> State:
                return Success(f"sum {sum(state.result for state in key_states)}", result=return_states)

        with Flow("f") as flow:
            add.map(numbers())
        assert Own(flow).run(executor=executor).message == "sum 9"


class TestPass:
    """Every task is visited at most once."""

    def test_return_tasks_are_in_the_result(self, executor: Executor) -> None:
        """Only those."""
        with Flow("f") as flow:
            one = number()
            two = add(one, y=4)
        final = FlowRunner(flow).run(executor=executor, return_tasks=[two])
        assert set(final.result) == {two}
        assert final.result[two] == Success(result=5)

    def test_a_retrying_task_is_not_run_again(self, executor: Executor) -> None:
        """Not even with zero delay; the next pass goes on from there."""
        with Flow("f") as flow:
            once = fail_once()
            follower = after(once)
        first = FlowRunner(flow).run(executor=executor, return_tasks=[once, follower])
        assert type(first) is Running
        assert type(first.result[once]) is Retrying
        assert type(first.result[follower]) is Pending
        second = FlowRunner(flow).run(state=first, task_states=first.result, executor=executor, return_tasks=[once])
        assert type(second) is Success
        assert second.result[once].result == "second"

    @pytest.mark.parametrize("given", [Success(result=10), Failed(), Skipped(), TriggerFailed()])
    def test_given_finished_states_stand(self, given: State, executor: Executor) -> None:
        """The same object is in the result, Failed included."""
        with Flow("f") as flow:
            one = number()
            two = add(one)
        final = FlowRunner(flow).run(task_states={one: given}, return_tasks=[one, two], executor=executor)
        assert final.result[one] is given
        assert final.result[two].is_finished()

    def test_given_meta_states_are_unwrapped(self, executor: Executor) -> None:
        """Submitted around a finished state is that state."""
        with Flow("f") as flow:
            one = number()
            two = add(one)
        given = {one: Submitted(state=Success(result=10)), two: Submitted(state=Pending())}
        final = FlowRunner(flow).run(task_states=given, return_tasks=[two], executor=executor)
        assert final.result[two].result == 11

    def test_a_running_state_is_left_alone(self, executor: Executor) -> None:
        """Somebody else runs it; what is downstream waits."""
        with Flow("f") as flow:
            one = number()
            two = add(one)
        final = FlowRunner(flow).run(task_states={one: Running()}, return_tasks=[one, two], executor=executor)
        assert type(final) is Running
        assert (type(final.result[one]), type(final.result[two])) == (Running, Pending)

    def test_a_future_start_time_waits(self, executor: Executor) -> None:
        """The task and what is downstream are not run."""
        with Flow("f") as flow:
            one = number()
            two = add(one)
        given = {one: Scheduled(start_time=LATER)}
        final = FlowRunner(flow).run(task_states=given, return_tasks=[one, two], executor=executor)
        assert final.result[one] is given[one]
        assert type(final.result[two]) is Pending

    def test_dicts_of_the_caller_are_never_modified(self, executor: Executor) -> None:
        """Parameters, states and contexts."""
        with Flow("f") as flow:
            value = Parameter("p")
            two = add(value)
        parameters, states, ctx = {"p": 1}, {two: Pending()}, {"a": {"b": 1}}
        contexts: dict[Any, Any] = {two: {"mine": 1}}
        FlowRunner(flow).run(
            parameters=parameters, task_states=states, context=ctx, task_contexts=contexts, executor=executor
        )
        assert (parameters, ctx, contexts) == ({"p": 1}, {"a": {"b": 1}}, {two: {"mine": 1}})
        assert states == {two: Pending()}

    @pytest.mark.parametrize("argument", ["return_tasks", "start_tasks"])
    def test_a_task_that_is_not_in_the_flow_fails_it(self, argument: str, executor: Executor) -> None:
        """With a ValueError as result."""
        final = FlowRunner(Flow("f")).run(**{argument: [Task()]}, executor=executor)  # type: ignore[arg-type]
        assert type(final) is Failed
        assert isinstance(final.result, ValueError)

    def test_unknown_keywords_are_refused(self) -> None:
        """Python's own TypeError."""
        with pytest.raises(TypeError):
            FlowRunner(Flow("f")).run(no_such=1)  # type: ignore[call-arg]

    def test_state_edges_and_triggers(self, executor: Executor) -> None:
        """What waits without data, and what runs because something failed."""
        with Flow("f") as flow:
            failed = fail()
            cleaned = flowkiln.task(lambda: "clean", trigger=any_failed)(upstream_tasks=[failed])
            blocked = add(failed)
        final = FlowRunner(flow).run(return_tasks=[failed, cleaned, blocked], executor=executor)
        assert final.result[cleaned].result == "clean"
        assert type(final.result[blocked]) is TriggerFailed

    def test_the_task_runner_class_and_its_handlers(self, executor: Executor) -> None:
        """The class may be the user's; handlers are called with it."""

        class Own(TaskRunner):
            def call_runner_target_handlers(self, old_state: State, new_state: State) -> State:
                return Success("own") if new_state.is_successful() else new_state

        with Flow("f") as flow:
            one = number()
        final = FlowRunner(flow, task_runner_cls=Own).run(return_tasks=[one], executor=executor)
        assert final.result[one].message == "own"

    def test_the_result_handler_is_the_tasks_or_the_flows(self, executor: Executor) -> None:
        """Results keep it, for whoever reads them."""
        with Flow("f", result_handler="the flow's") as flow:
            one = number()
            two = number(task_args={"result_handler": "the task's"})
        final = FlowRunner(flow).run(return_tasks=[one, two], executor=executor)
        assert final.result[one]._result == Result(1, "the flow's")
        assert final.result[two]._result == Result(1, "the task's")

    def test_errors_of_the_executor_fail_the_flow(self) -> None:
        """The exception is the result; with raise_on_exception it is raised."""

        class Broken(Executor):
            pass

        with Flow("f") as flow:
            number()
        final = FlowRunner(flow).run(executor=Broken())
        assert type(final) is Failed
        assert isinstance(final.result, NotImplementedError)
        with raise_on_exception(), pytest.raises(NotImplementedError):
            FlowRunner(flow).run(executor=Broken())

    def test_an_executor_of_the_users_is_used(self) -> None:
        """Writing one means submit, wait, and start."""
        calls: list[str] = []

        class Own(LocalExecutor):
            def open_session(self, environment: Any, deliver: Any) -> Any:
                return Executor.open_session(self, environment, deliver)

            def submit(self, fn: Any, *args: Any, **kwargs: Any) -> Any:
                calls.append("submit")
                return super().submit(fn, *args, **kwargs)

        with Flow("f") as flow:
            reduced = total(add.map(numbers()))
        final = FlowRunner(flow).run(executor=Own(), return_tasks=[reduced])
        assert final.result[reduced].result == 9
        assert len(calls) == 5

    def test_an_executors_own_timeout_handler_is_used(self) -> None:
        """For every task run, mapped children too."""
        calls: list[Any] = []

        class Own(LocalExecutor):
            @staticmethod
            def timeout_handler(fn: Any, *args: Any, timeout: Any = None, **kwargs: Any) -> Any:
                calls.append(timeout)
                return fn(*args, **kwargs)

        with Flow("f") as flow:
            mapped = flowkiln.task(lambda x: x, timeout=60).map(numbers())
        final = FlowRunner(flow).run(executor=Own(), return_tasks=[mapped])
        assert final.result[mapped].result == [1, 2, 3]
        assert calls == [None, 60, 60, 60]


class TestFlowState:
    """Which flow states run at all."""

    @pytest.mark.parametrize("given", [Success(), Failed(), Skipped(), State(), Finished()])
    def test_others_come_back_untouched(self, given: State) -> None:
        """Without task states, and without handlers."""
        seen: list[str] = []
        flow = Flow("f", tasks=[Task()], state_handlers=[note_changes(seen)])
        assert FlowRunner(flow).run(state=given) is given
        assert not seen

    def test_a_future_start_time_waits(self) -> None:
        """The same object."""
        given = Scheduled(start_time=LATER)
        assert FlowRunner(Flow("f")).run(state=given) is given

    @pytest.mark.parametrize("given", [None, Pending(), Paused(), Scheduled(), Retrying(), Submitted(state=Pending())])
    def test_all_kinds_of_pending_run(self, given: State | None) -> None:
        """Paused flow states are simply pending."""
        assert type(FlowRunner(Flow("f")).run(state=given)) is Success


class TestHandlers:
    """Flow handlers: Pending→Running, Running→final."""

    def test_two_calls_for_a_run_that_finishes(self, executor: Executor) -> None:
        """The flow's handler and the runner's."""
        seen: list[str] = []
        flow = Flow("f", tasks=[Task()], state_handlers=[note_changes(seen)])
        FlowRunner(flow, state_handlers=[note_changes(seen)]).run(executor=executor)
        assert seen == ["Pending→Running"] * 2 + ["Running→Success"] * 2

    def test_a_pass_that_ends_unfinished(self) -> None:
        """Running→Running."""
        seen: list[str] = []
        with Flow("f", state_handlers=[note_changes(seen)]) as flow:
            fail_once()
        FlowRunner(flow).run()
        assert seen == ["Pending→Running", "Running→Running"]

    @pytest.mark.parametrize("raised", [signals.PAUSE("x"), ValueError("x")])
    def test_a_handler_that_raises_fails_the_flow(self, raised: Exception) -> None:
        """PAUSE too: a flow as a whole cannot pause."""

        def broken(*_: Any) -> None:
            raise raised

        final = FlowRunner(Flow("f", state_handlers=[broken])).run()
        assert type(final) is Failed
        assert final.result is raised

    def test_a_chain_that_ends_with_no_state_fails_the_flow(self) -> None:
        """Not: it becomes the state."""
        final = FlowRunner(Flow("f", state_handlers=[lambda *_: 1])).run()
        assert type(final) is Failed
        assert isinstance(final.result, AttributeError)

    def test_on_failure_of_a_flow(self) -> None:
        """Called with the flow and its state."""
        failures: list[Any] = []
        with Flow("f", on_failure=lambda f, s: failures.append((f, s))) as flow:
            fail()
        final = FlowRunner(flow).run()
        assert len(failures) == 1
        assert failures[0][0] is flow
        assert failures[0][1] is final


@task
def look() -> dict[str, Any]:
    """Give the context."""
    return {key: context[key] for key in context if key != "parameters"} | {"parameters": context.get("parameters")}


class TestContext:
    """What bodies find in the context."""

    def run(self, flow: Flow, looked: Task, **run: Any) -> dict[str, Any]:
        """Run a flow and give the context that a body saw."""
        final = FlowRunner(flow).run(return_tasks=[looked], **run)
        found: dict[str, Any] = final.result[looked].result
        return found

    def test_names_and_dates(self, executor: Executor) -> None:
        """Dates as aware datetimes and as text with and without dashes."""
        with Flow("f") as flow:
            looked = look(task_args={"name": "looker", "slug": "the-looker"})
        before = utc_now()
        found = self.run(flow, looked, executor=executor)
        assert before <= found["date"] <= utc_now()
        assert found["scheduled_start_time"].tzinfo is not None
        assert found["today"] == found["date"].strftime("%Y-%m-%d")
        assert found["tomorrow_nodash"] == (found["date"] + dt.timedelta(days=1)).strftime("%Y%m%d")
        assert found["yesterday"] == (found["date"] - dt.timedelta(days=1)).strftime("%Y-%m-%d")
        assert found["flow_name"] == "f"
        assert (found["task_id"], found["task_name"], found["task_slug"]) == (looked.id, "looker", "the-looker")
        assert (found["map_index"], found["task_full_name"], found["task_run_count"]) == (None, "looker", 1)
        assert found["parameters"] is None

    def test_what_the_user_set_stands(self, executor: Executor) -> None:
        """Dates are not overwritten; flow_name is."""
        with Flow("f") as flow:
            looked = look()
        with context(today="never", mine=1, flow_name="other"):
            found = self.run(flow, looked, executor=executor, context={"tomorrow": "soon", "theirs": 2})
        assert (found["today"], found["tomorrow"], found["flow_name"]) == ("never", "soon", "f")
        assert (found["mine"], found["theirs"]) == (1, 2)

    def test_the_flow_being_built_does_not_travel(self, executor: Executor) -> None:
        """Bodies are outside `with Flow` blocks."""
        with Flow("f") as flow:
            looked = look()
            found = self.run(flow, looked, executor=executor)
        assert "flow" not in found

    def test_parameters_beat_each_other_key_by_key(self, executor: Executor) -> None:
        """Arguments of run, then its context, then the context around it."""
        with Flow("f") as flow:
            looked = look()
        with context(parameters={"a": 0, "b": 0, "c": 0}):
            found = self.run(
                flow, looked, executor=executor, parameters={"a": 2}, context={"parameters": {"a": 1, "b": 1}}
            )
        assert found["parameters"] == {"a": 2, "b": 1}

    def test_without_parameters_there_is_no_such_key(self, executor: Executor) -> None:
        """Validators of caches get None then."""
        with Flow("f") as flow:
            keys = flowkiln.task(lambda: list(context))()
        assert "parameters" not in flow.run(executor=executor).result[keys].result
        assert "parameters" not in flow.run(parameters={}, executor=executor).result[keys].result

    def test_task_contexts_reach_their_task_only(self, executor: Executor) -> None:
        """Merged with what the runner says about the task."""
        with Flow("f") as flow:
            one, two = look(), look()
        final = FlowRunner(flow).run(
            return_tasks=[one, two], task_contexts={one: {"mine": 1, "task_id": "x"}}, executor=executor
        )
        assert final.result[one].result["mine"] == 1
        assert final.result[one].result["task_id"] == one.id
        assert "mine" not in final.result[two].result

    def test_a_run_that_cannot_even_begin(self, caplog: pytest.LogCaptureFixture) -> None:
        """It is Failed, with the error as result, and in the log."""
        seen: list[str] = []
        flow = Flow("f", tasks=[Task()], state_handlers=[note_changes(seen)])
        with caplog.at_level(logging.ERROR):
            final = FlowRunner(flow).run(parameters=5)  # type: ignore[arg-type]
        assert type(final) is Failed
        assert isinstance(final.result, TypeError)
        assert "'f'" in final.message
        assert seen == ["Running→Failed"]
        assert [record.exc_info[1] for record in caplog.records if record.exc_info] == [final.result]
        with raise_on_exception(), pytest.raises(TypeError):
            FlowRunner(flow).run(parameters=5)  # type: ignore[arg-type]

    def test_parameters_are_not_checked_here(self) -> None:
        """The Parameter task fails."""
        with Flow("f") as flow:
            value = flow.add_task(Parameter("p"))
        final = FlowRunner(flow).run(return_tasks=[value])
        assert type(final) is Failed
        assert "required but not provided" in str(final.result[value].message)


class TestPauseAndResume:
    """A Paused task waits for a Resume state."""

    def test_a_paused_task_stays_paused(self, executor: Executor) -> None:
        """And the flow stays Running."""
        with Flow("f") as flow:
            one = number()
            manual = add(one, task_args={"trigger": manual_only})
        first = FlowRunner(flow).run(return_tasks=[one, manual], executor=executor)
        assert type(first.result[manual]) is Paused
        again = FlowRunner(flow).run(task_states=first.result, return_tasks=[manual], executor=executor)
        assert type(again) is Running
        assert again.result[manual] is first.result[manual]

    def test_resume_lets_it_go_on_with_its_inputs(self, executor: Executor) -> None:
        """Even if the upstream result is gone; the next one pauses again."""
        with Flow("f") as flow:
            one = number()
            manual = add(one, task_args={"trigger": manual_only})
            next_manual = add(manual, task_args={"trigger": manual_only})
        first = FlowRunner(flow).run(return_tasks=[manual], executor=executor)
        states = {one: Success(), manual: Resume(cached_inputs=first.result[manual].cached_inputs)}
        final = FlowRunner(flow).run(task_states=states, return_tasks=[manual, next_manual], executor=executor)
        assert final.result[manual].result == 2
        assert type(final.result[next_manual]) is Paused


class TestStartTasks:
    """Only the start tasks and what is downstream are visited."""

    def flow(self) -> tuple[Flow, Task, Task, Task, Task]:
        """Make a flow of a chain and a failing task."""
        with Flow("f") as flow:
            one = number()
            other = fail()
            two = add(one)
            three = add(two)
        return flow, one, other, two, three

    def test_what_is_upstream_is_not_needed(self, executor: Executor) -> None:
        """Inputs come from the results at hand; the others keep their states."""
        flow, one, other, two, three = self.flow()
        final = FlowRunner(flow).run(
            task_states={one: Success(result=10)},
            start_tasks=[two],
            return_tasks=[one, other, two, three],
            executor=executor,
        )
        assert type(final) is Success
        assert (final.result[two].result, final.result[three].result) == (11, 12)
        assert type(final.result[other]) is Pending

    def test_cached_inputs_fill_the_gaps(self, executor: Executor) -> None:
        """Nothing upstream has a state."""
        flow, _one, _other, two, three = self.flow()
        final = FlowRunner(flow).run(
            task_states={two: Pending(cached_inputs={"x": Result(20)})},
            start_tasks=[two],
            return_tasks=[three],
            executor=executor,
        )
        assert final.result[three].result == 22

    def test_skips_and_triggers_are_left_out_for_the_start_task_alone(self, executor: Executor) -> None:
        """What is further down is checked as usual."""
        flow, one, _other, two, three = self.flow()
        final = FlowRunner(flow).run(
            task_states={one: Skipped(result=1)}, start_tasks=[two], return_tasks=[two, three], executor=executor
        )
        assert (final.result[two].result, final.result[three].result) == (2, 3)
        final = FlowRunner(flow).run(
            task_states={one: Failed(result=1), two: Failed()},
            start_tasks=[three],
            return_tasks=[three],
            executor=executor,
        )
        assert final.result[three].is_failed()

    def test_ready_and_start_time_are_checked(self, executor: Executor) -> None:
        """Finished states stand, future ones wait."""
        flow, _one, _other, two, three = self.flow()
        done = Success(result=1)
        final = FlowRunner(flow).run(
            task_states={two: done}, start_tasks=[two], return_tasks=[two, three], executor=executor
        )
        assert final.result[two] is done
        assert final.result[three].result == 2
        waiting = Scheduled(start_time=LATER)
        final = FlowRunner(flow).run(
            task_states={two: waiting}, start_tasks=[two], return_tasks=[two], executor=executor
        )
        assert final.result[two] is waiting

    def test_a_mapped_start_task(self, executor: Executor) -> None:
        """It maps over what is at hand; with nothing there it fails and says which argument."""
        with Flow("f") as flow:
            values = numbers()
            mapped = add.map(values)
        final = FlowRunner(flow).run(
            task_states={values: Success(result=[5])}, start_tasks=[mapped], return_tasks=[mapped], executor=executor
        )
        assert final.result[mapped].result == [6]
        final = FlowRunner(flow).run(start_tasks=[mapped], return_tasks=[mapped], executor=executor)
        assert type(final.result[mapped]) is Failed
        assert "'x'" in str(final.result[mapped].message)

    def test_a_root_that_needs_a_hand_is_started(self, executor: Executor) -> None:
        """A start task skips its trigger."""
        with Flow("f") as flow:
            manual = number(task_args={"trigger": manual_only})
        final = FlowRunner(flow).run(start_tasks=[manual], return_tasks=[manual], executor=executor)
        assert final.result[manual].result == 1


def test_a_result_of_none_is_a_result(executor: Executor) -> None:
    """None is not NoResult, on its way downstream either."""
    with Flow("f") as flow:
        nothing = flowkiln.task(lambda: None)()
        looked = flowkiln.task(lambda x: (x is None, x == NoResult))(nothing)
    final = FlowRunner(flow).run(return_tasks=[looked], executor=executor)
    assert final.result[looked].result == (True, False)
