"""One task run: which state comes out, in which order checks count, which handlers fire."""

from __future__ import annotations

import datetime as dt
import logging
import signal
import sys
import threading
from collections.abc import Callable
from typing import Any

import pytest

import flowkiln
from flowkiln import Task, context
from flowkiln.core.edge import Edge
from flowkiln.engine import signals, state
from flowkiln.engine.bodies.timeouts import DeadlineExceeded
from flowkiln.engine.cache_validators import all_inputs, duration_only
from flowkiln.engine.executors import LocalExecutor
from flowkiln.engine.result import NoResult, Result
from flowkiln.engine.signals import ENDRUN
from flowkiln.engine.state import (
    Cached,
    Failed,
    Finished,
    Looped,
    Mapped,
    Paused,
    Pending,
    Queued,
    Resume,
    Retrying,
    Running,
    Scheduled,
    Skipped,
    State,
    Submitted,
    Success,
    TimedOut,
    TriggerFailed,
)
from flowkiln.engine.task_runner import TaskRunner
from flowkiln.states.state import utc_now
from flowkiln.triggers import all_failed, all_finished, any_successful, manual_only
from flowkiln.utilities.debug import raise_on_exception
from flowkiln.utilities.tasks import pause_task

LATER = utc_now() + dt.timedelta(days=1)
EARLIER = utc_now() - dt.timedelta(days=1)


def task_of(fn: Callable[..., Any], **options: Any) -> Task:
    """Make a task of a function."""
    return flowkiln.task(fn, **options)


def recorded(**options: Any) -> tuple[Task, list[Any]]:
    """Make a task that notes each run of its body."""
    runs: list[Any] = []

    def body(x: Any = None) -> Any:
        runs.append(x)
        return x

    return task_of(body, **options), runs


def edge(key: str | None = None, mapped: bool = False, to: Task | None = None) -> Edge:
    """Make an edge from some task."""
    return Edge(Task(), to or Task(), key, mapped)


def history(task: Task, **run: Any) -> tuple[State, list[str]]:
    """Run a task and give its state and the changes that its handlers saw."""
    seen: list[str] = []

    def note(_: Any, old: State, new: State) -> None:
        seen.append(f"{type(old).__name__}→{type(new).__name__}")

    final = TaskRunner(task, state_handlers=[note]).run(**run)
    return final, seen


class TestInitialize:
    """What a run starts with."""

    def test_a_fresh_run_starts_pending(self) -> None:
        """None and meta states are unwrapped before anything looks at them."""
        for given in (None, Submitted(state=Queued(state=Pending()))):
            final, seen = history(task_of(lambda: 1), state=given)
            assert final == Success(result=1)
            assert seen == ["Pending→Running", "Running→Success"]

    def test_the_context_tells_a_body_about_its_run(self) -> None:
        """Index, names and run count; `resume` only when resumed."""
        found: dict[str, Any] = {}
        TaskRunner(task_of(lambda: found.update(context), name="t")).run()
        assert found["map_index"] is None
        assert (found["task_name"], found["task_full_name"], found["task_run_count"]) == ("t", "t", 1)
        assert "resume" not in found

    def test_a_child_knows_its_index(self) -> None:
        """Its full name has it."""
        found: dict[str, Any] = {}
        TaskRunner(task_of(lambda: found.update(context), name="t")).run(context={"map_index": 3})
        assert (found["map_index"], found["task_full_name"]) == (3, "t[3]")

    def test_the_run_count_goes_on_from_retrying(self) -> None:
        """Retrying counts the attempts made so far."""
        found: dict[str, Any] = {}
        TaskRunner(task_of(lambda: found.update(context))).run(state=Retrying(run_count=2))
        assert found["task_run_count"] == 3

    def test_the_context_is_as_before_afterwards(self) -> None:
        """A run leaves nothing behind."""
        with context(mine=1):
            before = dict(context)
            TaskRunner(task_of(lambda: context.update(mine=2, more=3))).run(context={"other": 1})
            assert dict(context) == before


class TestReady:
    """Which states go through the pipeline at all."""

    @pytest.mark.parametrize(
        "given", [Running(), Finished(), Success(), Skipped(), Failed(), TriggerFailed(), State(), Paused()]
    )
    @pytest.mark.parametrize("raises", [False, True])
    def test_others_come_back_as_the_identical_object(self, given: State, raises: bool) -> None:
        """No handler fires, also under raise_on_exception."""
        task, runs = recorded()
        final, seen = history(task, state=given, context={"raise_on_exception": raises})
        assert final is given
        assert (runs, seen) == ([], [])

    def test_a_pending_state_with_a_future_start_time_waits(self) -> None:
        """The same object comes back, for every kind of Scheduled."""
        task, runs = recorded()
        for given in (Scheduled(start_time=LATER), Retrying(start_time=LATER), Resume(start_time=LATER)):
            final, seen = history(task, state=given)
            assert final is given
            assert (runs, seen) == ([], [])

    def test_a_past_start_time_starts(self) -> None:
        """So does one without a time."""
        for given in (Scheduled(start_time=EARLIER), Scheduled(), Retrying(run_count=1)):
            assert TaskRunner(Task()).run(state=given).is_successful()


class TestUpstream:
    """Upstream states decide before the inputs are looked at."""

    def test_an_unfinished_upstream_leaves_the_state_unchanged(self) -> None:
        """The trigger is not asked."""
        asked: list[int] = []
        task, runs = recorded(trigger=lambda _: asked.append(1))
        given = Pending()
        final, seen = history(task, state=given, upstream_states={edge(): Success(), edge("x"): Running()})
        assert final is given
        assert (runs, seen, asked) == ([], [], [])

    def test_a_skipped_upstream_skips(self) -> None:
        """It wins over the trigger, and the result is NoResult."""
        task, runs = recorded(trigger=all_failed)
        final, seen = history(task, upstream_states={edge(): Skipped()})
        assert type(final) is Skipped
        assert "skip_on_upstream_skip" in str(final.message)
        assert final.result == NoResult
        assert seen == ["Pending→Skipped"]
        assert not runs

    def test_a_task_may_run_after_a_skip(self) -> None:
        """With skip_on_upstream_skip=False a skip counts as success."""
        task, runs = recorded(skip_on_upstream_skip=False)
        assert TaskRunner(task).run(upstream_states={edge(): Skipped()}).is_successful()
        assert runs == [None]

    def test_any_skipped_child_of_a_mapped_upstream_skips(self) -> None:
        """A mapped upstream counts through its children."""
        mapped = Mapped(map_states=[Success(), Skipped()])
        assert TaskRunner(Task()).run(upstream_states={edge(): mapped}).is_skipped()

    def test_keys_of_any_kind_work_where_only_states_count(self) -> None:
        """Readiness, skips and triggers look at the values alone."""
        assert type(TaskRunner(Task()).run(upstream_states={1: Failed()})) is TriggerFailed  # type: ignore[dict-item]


class TestInputs:
    """Where the arguments of `run` come from."""

    def test_edges_with_a_key_give_inputs(self) -> None:
        """Those without give none."""
        task, runs = recorded()
        TaskRunner(task).run(upstream_states={edge("x"): Success(result=5), edge(): Success(result=6)})
        assert runs == [5]

    def test_cached_inputs_fill_the_gaps(self) -> None:
        """Where the upstream gave nothing, or NoResult."""
        task, runs = recorded()
        cached = {"x": Result(1)}
        TaskRunner(task).run(state=Pending(cached_inputs=cached))
        TaskRunner(task).run(state=Pending(cached_inputs=cached), upstream_states={edge("x"): Success()})
        assert runs == [1, 1]

    def test_a_real_upstream_result_wins_over_the_cache(self) -> None:
        """None is a real result."""
        task, runs = recorded()
        cached = {"x": Result(1)}
        TaskRunner(task).run(state=Pending(cached_inputs=cached), upstream_states={edge("x"): Success(result=None)})
        assert runs == [None]

    def test_a_failed_upstream_gives_its_exception(self) -> None:
        """For triggers that let the task run."""
        error = ValueError("upstream")
        task, runs = recorded(trigger=all_finished)
        TaskRunner(task).run(upstream_states={edge("x"): Failed(result=error)})
        assert runs == [error]

    def test_a_mapped_upstream_gives_the_list_of_its_childrens_results(self) -> None:
        """NoResult for children that were skipped, the exception for failed ones."""
        error = ValueError()
        task, runs = recorded(trigger=all_finished, skip_on_upstream_skip=False)
        children: list[State | None] = [Success(result=1), Skipped(), Failed(result=error)]
        TaskRunner(task).run(upstream_states={edge("x"): Mapped(map_states=children)})
        assert runs == [[1, NoResult, error]]

    def test_arguments_may_have_any_name(self) -> None:
        """Also those of what calls the body."""
        upstream = {edge("fn"): Success(result=1), edge("timeout"): Success(result=2)}
        assert TaskRunner(task_of(lambda fn, timeout: (fn, timeout))).run(upstream_states=upstream).result == (1, 2)

    def test_inputs_that_do_not_fit_run_fail_the_task(self) -> None:
        """With Python's own TypeError."""
        final = TaskRunner(task_of(lambda x: x)).run()
        assert isinstance(final, Failed)
        assert isinstance(final.result, TypeError)


class TestTrigger:
    """Triggers decide by the upstream states."""

    def test_without_upstream_the_trigger_is_not_called(self) -> None:
        """There is nothing to decide by."""
        assert TaskRunner(Task(trigger=any_successful)).run().is_successful()

    def test_it_gets_a_set_of_states_with_mapped_ones_expanded(self) -> None:
        """Children count one by one."""
        seen: list[Any] = []

        def look(states: set[State]) -> bool:
            seen.append(states)
            return True

        one, two, three = Success(), Failed(), Success()
        upstream = {edge(): Mapped(map_states=[one, two]), edge("x"): three}
        assert TaskRunner(task_of(lambda x: x, trigger=look)).run(upstream_states=upstream).is_successful()
        assert seen == [{one, two, three}]

    def test_false_is_a_trigger_failure(self) -> None:
        """It is not retried."""
        task, runs = recorded(trigger=lambda _: False, max_retries=3, retry_delay=dt.timedelta(0))
        final, seen = history(task, upstream_states={edge(): Success()})
        assert type(final) is TriggerFailed
        assert final.message == "Trigger failed"
        assert (seen, runs) == (["Pending→TriggerFailed"], [])

    def test_a_signal_is_the_outcome(self) -> None:
        """The trigger failure carries it as result."""
        final, _ = history(Task(), upstream_states={edge(): Failed()})
        assert type(final) is TriggerFailed
        assert 'Trigger was "all_successful"' in str(final.message)
        assert isinstance(final.result, signals.TRIGGERFAIL)

    def test_another_exception_is_a_trigger_failure_too(self) -> None:
        """With the exception as result."""
        error = ValueError()

        def broken(_: Any) -> bool:
            raise error

        final = TaskRunner(Task(trigger=broken, max_retries=1, retry_delay=dt.timedelta(0))).run(
            upstream_states={edge(): Success()}
        )
        assert type(final) is TriggerFailed
        assert final.result is error

    def test_a_trigger_that_pauses_keeps_the_inputs(self) -> None:
        """The resumed run finds them there."""
        task, runs = recorded(trigger=manual_only)
        paused, seen = history(task, upstream_states={edge("x"): Success(result=7)})
        assert type(paused) is Paused
        assert "manual_only" in str(paused.message)
        assert paused.cached_inputs == {"x": Result(7)}
        assert seen == ["Pending→Paused"]
        assert TaskRunner(task).run(state=Resume(cached_inputs=paused.cached_inputs)).result == 7
        assert runs == [7]

    def test_a_resumed_upstream_has_no_effect(self) -> None:
        """Only the task's own state resumes it."""
        done = Success()
        assert isinstance(TaskRunner(Task(trigger=manual_only)).run(upstream_states={edge(): done}), Paused)
        assert TaskRunner(Task(trigger=manual_only)).run(context={"resume": True}).is_successful()


class TestBody:
    """What running the body comes to."""

    def test_the_value_is_the_result(self) -> None:
        """With the message that people match on."""
        final, seen = history(task_of(lambda: 5))
        assert final == Success(result=5)
        assert final.message == "Task run succeeded."
        assert seen == ["Pending→Running", "Running→Success"]

    def test_the_result_keeps_its_handler(self) -> None:
        """The task's, else the runner's."""
        assert TaskRunner(task_of(lambda: 1), result_handler="mine").run()._result == Result(1, "mine")
        own = task_of(lambda: 1, result_handler="own")
        assert TaskRunner(own, result_handler="mine").run()._result == Result(1, "own")

    def test_an_error_of_the_runner_itself(self, caplog: pytest.LogCaptureFixture) -> None:
        """The task is Failed, with a message that names it, and the log has the traceback."""
        flattening = Edge(Task(), Task(), "x", flattened=True)
        upstream = {flattening: Success(result=5)}
        calls: list[State] = []
        runner = TaskRunner(task_of(lambda x: x, name="odd", on_failure=lambda _, state: calls.append(state)))
        with caplog.at_level(logging.ERROR):
            final = runner.run(upstream_states=upstream)
        assert calls == [final]
        assert type(final) is Failed
        assert isinstance(final.result, TypeError)
        assert "'odd'" in final.message
        assert "argument 'x'" in final.message
        assert repr(final.result) in final.message
        assert [record.exc_info[1] for record in caplog.records if record.exc_info] == [final.result]
        with raise_on_exception(), pytest.raises(TypeError):
            runner.run(upstream_states=upstream)

    def test_running_says_so(self) -> None:
        """Handlers see it."""
        messages: list[Any] = []
        TaskRunner(Task(), state_handlers=[lambda _r, _o, new: messages.append(new.message)]).run()  # type: ignore[func-returns-value]
        assert messages[0] == "Starting task run."

    def test_an_error_fails(self) -> None:
        """With the error as result."""
        error = ValueError("bad")

        def body() -> None:
            raise error

        final, seen = history(task_of(body))
        assert type(final) is Failed
        assert "Unexpected error: " in str(final.message)
        assert final.result is error
        assert seen == ["Pending→Running", "Running→Failed"]

    def test_sys_exit_fails_the_task_not_the_worker(self) -> None:
        """Scripts that are called from a task end themselves this way."""
        final = TaskRunner(task_of(lambda: sys.exit(3))).run()
        assert type(final) is Failed
        assert isinstance(final.result, SystemExit)

    def test_an_interrupt_goes_through(self) -> None:
        """The person at the keyboard wants the whole program to end."""

        def body() -> None:
            signal.raise_signal(signal.SIGINT)

        with pytest.raises(KeyboardInterrupt):
            TaskRunner(task_of(body)).run()

    @pytest.mark.parametrize(
        ("signal", "cls"),
        [
            (signals.FAIL, Failed),
            (signals.TRIGGERFAIL, TriggerFailed),
            (signals.SUCCESS, Success),
            (signals.SKIP, Skipped),
            (signals.PAUSE, Paused),
            (signals.RETRY, Retrying),
            (signals.VALIDATIONFAIL, state.ValidationFailed),
        ],
    )
    def test_signals_are_the_outcome(self, signal: type[signals.StateSignal], cls: type[State]) -> None:
        """The signal itself is the result."""

        def body() -> None:
            raise signal("why")

        final, seen = history(task_of(body))
        assert type(final) is cls
        assert final.message == "why"
        assert isinstance(final.result, signal)
        assert seen == ["Pending→Running", f"Running→{cls.__name__}"]

    @pytest.mark.parametrize("timeout", [None, 60])
    def test_a_timeout_error_of_the_bodys_own_is_a_failure(self, timeout: int | None) -> None:
        """The task's deadline has nothing to do with it."""
        error = TimeoutError("mine")

        def body(x: int) -> None:
            raise error

        final = TaskRunner(task_of(body, timeout=timeout)).run(upstream_states={edge("x"): Success(result=1)})
        assert type(final) is Failed
        assert final.message == "Unexpected error: TimeoutError('mine')"
        assert final.result is error

    @pytest.mark.parametrize(
        ("raised", "timeout", "outcome"),
        [
            (TimeoutError, 5, TimedOut),
            (TimeoutError, None, Failed),
            (DeadlineExceeded, 5, TimedOut),
            (DeadlineExceeded, None, TimedOut),
        ],
    )
    def test_an_executors_own_timeout_handler_tells_a_timeout(
        self, raised: type[TimeoutError], timeout: int | None, outcome: type[State]
    ) -> None:
        """By any TimeoutError if the task has a timeout; by DeadlineExceeded also if the limit is the handler's own."""

        class Own(LocalExecutor):
            @staticmethod
            def timeout_handler(fn: Any, *args: Any, timeout: Any = None, **kwargs: Any) -> Any:
                raise raised("too long")

        final = TaskRunner(task_of(lambda x: x, timeout=timeout)).run(
            upstream_states={edge("x"): Success(result=1)}, executor=Own()
        )
        assert type(final) is outcome
        if outcome is TimedOut:
            assert "timed out" in str(final.message)
            assert final.cached_inputs == {"x": Result(1)}  # type: ignore[attr-defined]

    def test_an_executors_own_timeout_handler_is_used(self) -> None:
        """Who writes an executor decides how bodies are called."""
        calls: list[Any] = []

        class Own(LocalExecutor):
            @staticmethod
            def timeout_handler(fn: Any, *args: Any, timeout: Any = None, **kwargs: Any) -> Any:
                calls.append((timeout, kwargs))
                return fn(*args, **kwargs)

        task, runs = recorded(timeout=5)
        TaskRunner(task).run(upstream_states={edge("x"): Success(result=1)}, executor=Own())
        assert calls == [(5, {"x": 1})]
        assert runs == [1]


class TestStuckBodies:
    """A body that cannot be stopped at its deadline is settled as if it had been, before its process is ended."""

    @pytest.mark.parametrize(("max_retries", "settled"), [(0, TimedOut), (1, Retrying)])
    def test_who_can_end_the_process_is_told_its_state(
        self, monkeypatch: pytest.MonkeyPatch, max_retries: int, settled: type[State]
    ) -> None:
        """With the inputs, after the handlers were called, and with the retry that is due to it."""
        monkeypatch.setattr("flowkiln.engine.bodies.threads.GRACE", 0.01)
        monkeypatch.setattr("flowkiln.engine.bodies.threads.STUCK_AFTER", 0.02)
        told: list[State] = []
        seen: list[str] = []
        released = threading.Event()
        stuck = task_of(
            lambda x: released.wait(),
            max_retries=max_retries,
            retry_delay=dt.timedelta(0),
            state_handlers=[lambda _, __, new: seen.append(type(new).__name__)],
        )
        stuck.timeout = 0.01  # type: ignore[assignment]
        runner = TaskRunner(stuck)

        def tell(state: State) -> None:
            told.append(state)
            released.set()

        runner.on_stuck = tell
        # In the main thread an alarm ends any wait.
        thread = threading.Thread(target=runner.run, args=(None, {edge("x"): Success(result=1)}))
        thread.start()
        thread.join()
        assert [type(state) for state in told] == [settled]
        assert told[0].cached_inputs == {"x": Result(1)}  # type: ignore[attr-defined]
        assert seen[: 2 + max_retries] == ["Running", "TimedOut", "Retrying"][: 2 + max_retries]


class TestRetries:
    """Failures are tried again."""

    def test_a_failure_is_retried_up_to_max_retries(self) -> None:
        """max_retries=2: three attempts, run counts 1 and 2, then Failed."""

        def body(x: int) -> None:
            raise ValueError("bad")

        task = task_of(body, max_retries=2, retry_delay=dt.timedelta(0))
        reached: State | None = None
        counts = []
        for _ in range(2):
            reached = TaskRunner(task).run(state=reached, upstream_states={edge("x"): Success(result=1)})
            assert isinstance(reached, Retrying)
            assert reached.cached_inputs == {"x": Result(1)}
            counts.append((reached.run_count, f"Attempt {reached.run_count} of 3" in str(reached.message)))
        assert counts == [(1, True), (2, True)]
        assert type(TaskRunner(task).run(state=reached)) is Failed

    def test_handlers_see_the_failure_and_the_retry(self) -> None:
        """Three calls for a failing attempt that will be retried."""

        def body() -> None:
            raise ValueError

        task = task_of(body, max_retries=1, retry_delay=dt.timedelta(hours=1))
        before = utc_now()
        final, seen = history(task)
        assert seen == ["Pending→Running", "Running→Failed", "Failed→Retrying"]
        assert isinstance(final, Retrying)
        assert before + dt.timedelta(hours=1) <= final.start_time <= utc_now() + dt.timedelta(hours=1)

    @pytest.mark.parametrize("raised", [signals.FAIL("x"), signals.TRIGGERFAIL("x"), TimeoutError("x")])
    def test_failures_of_every_kind_inside_run_are_retried(self, raised: Exception) -> None:
        """FAIL, TRIGGERFAIL and timeouts count as failures."""

        def body() -> None:
            raise raised

        task = task_of(body, max_retries=1, retry_delay=dt.timedelta(0))
        assert isinstance(TaskRunner(task).run(), Retrying)

    def test_a_failed_handler_is_not_retried(self) -> None:
        """The run ends there."""

        def broken(*_: Any) -> None:
            raise ValueError

        task, runs = recorded(max_retries=1, retry_delay=dt.timedelta(0), state_handlers=[broken])
        final = TaskRunner(task).run()
        assert type(final) is Failed
        assert final.message == "Exception raised while calling state handlers."
        assert not runs

    def test_retry_always_retries_and_keeps_the_inputs(self) -> None:
        """Whatever max_retries says; its time and count are the user's."""

        def body(x: int) -> None:
            raise signals.RETRY("again", start_time=LATER)

        final, seen = history(task_of(body), upstream_states={edge("x"): Success(result=1)})
        assert isinstance(final, Retrying)
        assert (final.start_time, final.run_count, final.cached_inputs) == (LATER, 1, {"x": Result(1)})
        assert seen == ["Pending→Running", "Running→Retrying"]

    def test_retry_counts_attempts(self) -> None:
        """The default run count is the context's."""

        def body() -> None:
            raise signals.RETRY

        final = TaskRunner(task_of(body)).run(state=Retrying(run_count=4))
        assert isinstance(final, Retrying)
        assert final.run_count == 5


class TestEndrun:
    """`raise ENDRUN(state)` in a body ends with that state."""

    def test_a_failure_is_not_retried(self) -> None:
        """The documented way to say: fail, and do not try again."""
        failed = Failed("no use")

        def body() -> None:
            raise ENDRUN(failed)

        task = task_of(body, max_retries=3, retry_delay=dt.timedelta(0))
        final, seen = history(task)
        assert final is failed
        assert seen == ["Pending→Running", "Running→Failed"]

    def test_a_success_is_not_cached(self) -> None:
        """The pipeline stops there."""
        ended = Success(result=1)

        def body() -> None:
            raise ENDRUN(ended)

        assert TaskRunner(task_of(body, cache_for=dt.timedelta(days=1))).run() is ended

    def test_a_pending_state_gets_the_inputs_without_being_modified(self) -> None:
        """The user's own object stays as it was."""
        mine = Paused("mine")

        def body(x: int) -> None:
            raise ENDRUN(mine)

        final = TaskRunner(task_of(body)).run(upstream_states={edge("x"): Success(result=1)})
        assert isinstance(final, Paused)
        assert (final.message, final.cached_inputs) == ("mine", {"x": Result(1)})
        assert mine.cached_inputs is None


class TestCaching:
    """States are what caches travel in."""

    def test_a_success_becomes_cached(self) -> None:
        """With inputs, parameters, expiration, and the same result wrapper and message."""
        task = task_of(lambda x: x, cache_for=dt.timedelta(hours=1))
        before = utc_now()
        final, seen = history(task, upstream_states={edge("x"): Success(result=2)}, context={"parameters": {"p": 1}})
        assert type(final) is Cached
        assert (final.result, final.message) == (2, "Task run succeeded.")
        assert (final.cached_inputs, final.cached_parameters) == ({"x": Result(2)}, {"p": 1})
        assert final.cached_result_expiration is not None
        assert before < final.cached_result_expiration - dt.timedelta(hours=1) < utc_now()
        assert seen == ["Pending→Running", "Running→Success", "Success→Cached"]

    def test_a_success_signal_is_cached_too(self) -> None:
        """Skips are not."""

        def succeed() -> None:
            raise signals.SUCCESS("done", result=4)

        def skip() -> None:
            raise signals.SKIP

        final = TaskRunner(task_of(succeed, cache_for=dt.timedelta(hours=1))).run()
        assert type(final) is Cached
        assert final.result == 4
        assert type(TaskRunner(task_of(skip, cache_for=dt.timedelta(hours=1))).run()) is Skipped

    def test_a_cached_state_of_a_handlers_stays(self) -> None:
        """It may be valid for longer than `cache_for` says."""
        replaced = Cached(result=3)
        own = task_of(
            lambda: 1,
            cache_for=dt.timedelta(hours=1),
            state_handlers=[lambda _, __, new: replaced if new.is_successful() else None],
        )
        assert TaskRunner(own).run() is replaced

    def test_a_valid_cached_state_comes_back_as_the_same_object(self) -> None:
        """The body does not run and no handler fires."""
        task, runs = recorded(cache_for=dt.timedelta(hours=1))
        given = Cached(result=9, cached_result_expiration=LATER)
        final, seen = history(task, state=given)
        assert final is given
        assert (runs, seen) == ([], [])

    def test_an_invalid_one_is_run_again(self) -> None:
        """Through a Pending state that says why."""
        task, runs = recorded(cache_for=dt.timedelta(hours=1))
        final, seen = history(task, state=Cached(result=9, cached_result_expiration=EARLIER))
        assert type(final) is Cached
        assert final.result is None
        assert runs == [None]
        assert seen[0] == "Cached→Pending"

    def test_a_task_that_caches_nothing_takes_no_cached_state(self) -> None:
        """Its validator is never_use."""
        task, runs = recorded()
        assert type(TaskRunner(task).run(state=Cached(result=9))) is Success
        assert runs == [None]

    def test_the_validator_compares_values_of_inputs(self) -> None:
        """Wrappers and their handlers do not count."""
        task, runs = recorded(cache_for=dt.timedelta(hours=1), cache_validator=all_inputs)
        given = Cached(result=9, cached_inputs={"x": Result(1, "a handler")}, cached_result_expiration=LATER)
        assert TaskRunner(task).run(state=given, upstream_states={edge("x"): Success(result=1)}) is given
        assert TaskRunner(task).run(state=given, upstream_states={edge("x"): Success(result=2)}).result == 2
        assert runs == [2]

    def test_a_validator_gets_inputs_as_a_cached_state_has_them(self) -> None:
        """Both are results by argument, so that comparing them is a validator."""

        def unchanged(state: Cached, inputs: Any, _parameters: Any) -> bool:
            return bool(state.cached_inputs == inputs)

        task, runs = recorded(cache_for=dt.timedelta(hours=1), cache_validator=unchanged)
        given = Cached(result=9, cached_inputs={"x": Result(1)}, cached_result_expiration=LATER)
        assert TaskRunner(task).run(state=given, upstream_states={edge("x"): Success(result=1)}) is given
        TaskRunner(task).run(state=given, upstream_states={edge("x"): Success(result=2)})
        assert runs == [2]

    def test_the_inputs_of_a_cached_state_are_no_inputs_of_this_run(self) -> None:
        """Only a pending state's fill gaps: else every cache would match itself."""
        seen: list[Any] = []
        body, _ = recorded(cache_for=dt.timedelta(hours=1), cache_validator=lambda _, inputs, __: seen.append(inputs))
        final = TaskRunner(body).run(Cached(cached_inputs={"x": Result(1)}, result=1))
        assert seen == [{}]
        assert final.result is None

    def test_a_valid_cached_state_is_still_subject_to_the_trigger(self) -> None:
        """A failed upstream makes it TriggerFailed."""
        task, _ = recorded(cache_for=dt.timedelta(hours=1), cache_validator=duration_only)
        final = TaskRunner(task).run(state=Cached(result=9), upstream_states={edge(): Failed()})
        assert type(final) is TriggerFailed


class TestPendingOutcomes:
    """Every pending outcome after the inputs were gathered carries them; earlier ones are untouched."""

    @pytest.mark.parametrize("signal", [signals.PAUSE, signals.RETRY])
    def test_signals_keep_the_inputs(self, signal: type[signals.StateSignal]) -> None:
        """So that a later visit finds them."""

        def body(x: int) -> None:
            raise signal

        final = TaskRunner(task_of(body)).run(upstream_states={edge("x"): Success(result=1)})
        assert final.cached_inputs == {"x": Result(1)}  # type: ignore[attr-defined]

    @pytest.mark.parametrize("cls", [Scheduled, Retrying])
    def test_a_state_that_is_visited_early_is_untouched(self, cls: type[Scheduled]) -> None:
        """Its inputs stay."""
        given = cls(start_time=LATER, cached_inputs={"x": Result(1)})
        assert TaskRunner(Task()).run(state=given) is given
        assert given.cached_inputs == {"x": Result(1)}

    def test_a_paused_state_is_untouched(self) -> None:
        """It comes back as it is."""
        given = Paused(cached_inputs={"x": Result(1)})
        assert TaskRunner(Task()).run(state=given) is given
        assert given.cached_inputs == {"x": Result(1)}

    def test_a_veto_by_a_handler_keeps_the_inputs(self) -> None:
        """A handler that gives back the old state stops the run before the body."""
        task, runs = recorded()
        given = Pending("given")
        final = TaskRunner(task, state_handlers=[lambda _r, old, _n: old]).run(
            state=given, upstream_states={edge("x"): Success(result=1)}
        )
        assert isinstance(final, Pending)
        assert final.cached_inputs == {"x": Result(1)}
        assert given.cached_inputs is None
        assert not runs

    def test_pause_task_pauses_once(self) -> None:
        """And returns when the run was resumed."""

        def body(x: int) -> int:
            pause_task()
            return x

        paused = TaskRunner(task_of(body)).run(upstream_states={edge("x"): Success(result=3)})
        assert type(paused) is Paused
        assert TaskRunner(task_of(body)).run(state=Resume(cached_inputs=paused.cached_inputs)).result == 3


class TestHandlers:
    """State handlers of task and runner."""

    def test_the_tasks_own_come_first(self) -> None:
        """Each gets what it belongs to, the old state and the new one."""
        calls: list[Any] = []
        task = Task(state_handlers=[lambda t, _o, new: calls.append((t, type(new)))])
        runner = TaskRunner(task, state_handlers=[lambda r, _o, new: calls.append((r, type(new)))])  # type: ignore[func-returns-value]
        runner.run()
        assert calls == [(task, Running), (runner, Running), (task, Success), (runner, Success)]

    def test_on_failure_is_called_for_failures_only(self) -> None:
        """With the task and its state."""
        failures: list[Any] = []

        def body() -> None:
            raise ValueError

        task = task_of(body, on_failure=lambda t, s: failures.append((t, type(s))))
        TaskRunner(task).run()
        assert failures == [(task, Failed)]

    def test_a_handler_may_replace_the_outcome(self) -> None:
        """A success can be turned into a retried failure."""

        def doubt(_: Any, __: State, new: State) -> State | None:
            return Failed("I doubt it") if new.is_successful() else None

        task, runs = recorded(state_handlers=[doubt], max_retries=1, retry_delay=dt.timedelta(0))
        assert isinstance(TaskRunner(task).run(), Retrying)
        assert runs == [None]

    def test_a_handler_that_pauses_ends_the_run_paused(self) -> None:
        """The body does not run."""

        def pause(_: Any, __: State, new: State) -> None:
            if new.is_running():
                raise signals.PAUSE("not now")

        task, runs = recorded(state_handlers=[pause])
        final = TaskRunner(task).run(upstream_states={edge("x"): Success(result=1)})
        assert type(final) is Paused
        assert final.cached_inputs == {"x": Result(1)}
        assert not runs

    def test_a_handler_that_raises_endrun_decides(self) -> None:
        """Its state is the outcome."""
        ended = Success("stopped")

        def stop(*_: Any) -> None:
            raise ENDRUN(ended)

        task, runs = recorded(state_handlers=[stop])
        assert TaskRunner(task).run() is ended
        assert not runs


class TestLoops:
    """LOOP runs the same task again at once."""

    @staticmethod
    def body(x: int = 0) -> Any:
        """Add the input three times."""
        count = context.get("task_loop_count", 1)
        total = context.get("task_loop_result", 0) + x
        if count < 3:
            raise signals.LOOP(f"iteration {count}", result=total)
        return total

    def test_each_iteration_gets_the_last_ones_result(self) -> None:
        """Only the last iteration's state is the outcome."""
        final, seen = history(task_of(self.body), upstream_states={edge("x"): Success(result=5)})
        assert final == Success(result=15)
        assert seen == [
            "Pending→Running",
            "Running→Looped",
            "Pending→Running",
            "Running→Looped",
            "Pending→Running",
            "Running→Success",
        ]

    def test_a_looped_state_knows_its_iteration(self) -> None:
        """And carries its result."""
        looped: list[Any] = []

        def note(_: Any, __: State, new: State) -> None:
            if isinstance(new, Looped):
                looped.append((new.loop_count, new.result))

        TaskRunner(task_of(self.body), state_handlers=[note]).run(upstream_states={edge("x"): Success(result=1)})
        assert looped == [(1, 1), (2, 2)]

    def test_a_retry_inside_a_loop_resumes_at_the_same_iteration(self) -> None:
        """Each iteration has its own attempts."""
        visits: list[tuple[int, int]] = []

        def body() -> str:
            count = context.get("task_loop_count", 1)
            attempt = context.task_run_count
            visits.append((count, attempt))
            if attempt == 1:
                raise ValueError("first attempt")
            if count < 3:
                raise signals.LOOP(result=count)
            return f"after {context.task_loop_result}"

        task = task_of(body, max_retries=1, retry_delay=dt.timedelta(0))
        reached: State | None = None
        for _ in range(4):
            reached = TaskRunner(task).run(state=reached)
        assert reached == Success(result="after 2")
        assert visits == [(1, 1), (1, 2), (2, 1), (2, 2), (3, 1), (3, 2)]

    def test_a_pause_inside_a_loop_keeps_its_place(self) -> None:
        """Resumed with the loop's keys in the context, the iteration goes on."""

        def body() -> int:
            if "task_loop_result" not in context:
                raise signals.LOOP(result=10)
            pause_task()
            return int(context.task_loop_result)

        paused = TaskRunner(task_of(body)).run()
        assert type(paused) is Paused
        final = TaskRunner(task_of(body)).run(state=Resume(), context={"task_loop_count": 2, "task_loop_result": 10})
        assert final.result == 10

    def test_loop_without_result_carries_its_repr(self) -> None:
        """The next iteration can read why."""

        def body() -> Any:
            if "task_loop_result" in context:
                return context.task_loop_result
            raise signals.LOOP("again")

        assert TaskRunner(task_of(body)).run().result == repr(signals.LOOP("again"))

    def test_the_context_of_a_loop_ends_with_it(self) -> None:
        """Nothing of it is left for whatever runs next in this thread."""
        TaskRunner(task_of(self.body)).run()
        assert "task_loop_result" not in context


class TestRaiseOnException:
    """Errors and signals go to the caller unchanged."""

    @pytest.mark.parametrize(
        "raised",
        [ValueError("x"), signals.FAIL("x"), signals.SKIP("x"), signals.PAUSE("x"), TimeoutError("x")],
    )
    def test_what_the_body_raises(self, raised: Exception) -> None:
        """The very object."""

        def body() -> None:
            raise raised

        with raise_on_exception(), pytest.raises(type(raised)) as caught:
            TaskRunner(task_of(body)).run()
        assert caught.value is raised

    def test_what_the_trigger_raises(self) -> None:
        """A failed trigger too."""
        with raise_on_exception(), pytest.raises(signals.TRIGGERFAIL):
            TaskRunner(Task()).run(upstream_states={edge(): Failed()})

    def test_what_a_handler_raises(self) -> None:
        """Errors of handlers."""

        def broken(*_: Any) -> None:
            raise ZeroDivisionError

        with raise_on_exception(), pytest.raises(ZeroDivisionError):
            TaskRunner(Task(state_handlers=[broken])).run()

    def test_not_endrun(self) -> None:
        """Runs that end early return their state."""
        ended = Failed()

        def body() -> None:
            raise ENDRUN(ended)

        given = Pending()
        with raise_on_exception():
            assert TaskRunner(task_of(body)).run() is ended
            assert TaskRunner(Task()).run(state=given, upstream_states={edge(): Pending()}) is given


class TestMappedAlone:
    """A mapped parent whose TaskRunner is run by itself."""

    def test_the_parent_becomes_mapped_with_its_children(self, any_executor: Any) -> None:
        """One child for each element, run on the executor."""
        task = task_of(add_one)
        with any_executor.start():
            final = TaskRunner(task).run(
                upstream_states={edge("x", mapped=True): Success(result=[1, 2])}, executor=any_executor
            )
        assert isinstance(final, Mapped)
        assert final.result == [2, 3]
        assert [type(child) for child in final.map_states] == [Success, Success]

    def test_the_shortest_wins_and_unmapped_ones_are_passed_whole(self) -> None:
        """Like zip."""
        task = task_of(lambda x, y, z: (x, y, z))
        upstream = {
            edge("x", mapped=True): Success(result=[1, 2, 3]),
            edge("y", mapped=True): Success(result="ab"),
            edge("z"): Success(result=[9]),
        }
        assert TaskRunner(task).run(upstream_states=upstream).result == [(1, "a", [9]), (2, "b", [9])]

    def test_nothing_to_map_is_an_empty_map(self) -> None:
        """It counts as success."""
        final = TaskRunner(task_of(add_one)).run(upstream_states={edge("x", mapped=True): Success(result=[])})
        assert isinstance(final, Mapped)
        assert (final.map_states, final.result) == ([], [])

    def test_children_are_kept_from_an_earlier_mapped_state(self) -> None:
        """Finished ones as they are; the others go on from their own state."""
        runs: list[int] = []
        done = Success(result=100)
        waiting = Retrying(run_count=1, cached_inputs={"x": Result(5)})
        final = TaskRunner(task_of(lambda x: runs.append(x) or x)).run(  # type: ignore[func-returns-value]
            state=Mapped(map_states=[done, waiting, None]),
            upstream_states={edge("x", mapped=True): Success(result=[1, 2, 3])},
        )
        assert isinstance(final, Mapped)
        assert final.map_states[0] is done
        assert final.result == [100, 2, 3]
        assert runs == [2, 3]

    def test_without_upstream_results_children_use_their_cached_inputs(self) -> None:
        """Their number is that of the earlier children."""
        waiting = Retrying(run_count=1, cached_inputs={"x": Result(5)})
        final = TaskRunner(task_of(add_one)).run(
            state=Mapped(map_states=[Success(result=1), waiting]),
            upstream_states={edge("x", mapped=True): Success()},
        )
        assert final.result == [1, 6]

    def test_nothing_to_map_is_judged_when_all_upstream_is_finished(self) -> None:
        """Until then the trigger is not asked, though one argument cannot be mapped whatever happens."""
        asked: list[Any] = []
        mapped_task = task_of(lambda x, y: x, trigger=lambda states: bool(asked.append(states)))
        upstream = {
            edge("x", mapped=True): Success(result=5),
            edge("y", mapped=True): Mapped(map_states=[Success(result=1), Retrying()]),
        }
        given = Pending()
        assert TaskRunner(mapped_task).run(given, upstream, executor=LocalExecutor()) is given
        assert not asked

    def test_a_reducer_waits_for_all_children(self) -> None:
        """A child that is not finished leaves it Pending and its trigger unasked."""
        asked: list[int] = []
        given = Pending()
        upstream = {edge("x"): Mapped(map_states=[Success(), Retrying()])}
        final = TaskRunner(task_of(add_one, trigger=lambda _: asked.append(1))).run(
            state=given, upstream_states=upstream
        )
        assert final is given
        assert not asked


def add_one(x: int) -> int:
    """A body that every process can import."""
    return x + 1
