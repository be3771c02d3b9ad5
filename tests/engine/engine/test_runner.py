"""State handlers, and the contract between a pipeline and its steps."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from flowkiln import context
from flowkiln.engine.runner import ENDRUN, End, Runner, call_state_handlers, state_of, unwrap
from flowkiln.engine.signals import FAIL, PAUSE, SKIP
from flowkiln.engine.state import Failed, Pending, Queued, Running, Skipped, State, Submitted, Success


@pytest.mark.parametrize("handlers", [False, 1, lambda *_: None])
def test_handlers_must_be_a_sequence(handlers: Any) -> None:
    """A single function in place of a list is the usual mistake."""
    with pytest.raises(TypeError):
        Runner(state_handlers=handlers)


def test_the_callers_list_of_handlers_is_not_kept() -> None:
    """Arguments of the caller are never modified, nor followed."""
    given: list[Any] = []
    runner = Runner(state_handlers=given)
    given.append(1)
    assert runner.state_handlers == []


def test_the_logger_is_named_after_the_class() -> None:
    """So that people can set its level."""
    assert Runner().logger.name == "flowkiln.Runner"


def test_meta_states_are_unwrapped_to_the_innermost() -> None:
    """None is a fresh Pending; anything else comes back as the same object."""
    inner = Running()
    assert unwrap(Submitted(state=Queued(state=inner))) is inner
    assert unwrap(inner) is inner
    assert unwrap(None) == Pending()
    assert unwrap(Submitted()) == Pending()


class TestHandleStateChange:
    """Each handler gets the previous one's output."""

    def test_falsy_returns_keep_the_state(self) -> None:
        """Most handlers only look."""
        new = Running()
        assert Runner([lambda *_: None, lambda *_: False]).handle_state_change(Pending(), new) is new  # type: ignore[list-item,return-value]

    def test_a_returned_state_goes_to_the_next_handler(self) -> None:
        """And the last one is the outcome."""
        seen: list[State] = []
        first, second = Success("first"), Success("second")

        def look(_: Any, __: State, new: State) -> State:
            seen.append(new)
            return second

        assert Runner([lambda *_: first, look]).handle_state_change(Pending(), Running()) is second
        assert seen == [first]

    def test_handlers_get_runner_old_and_new(self) -> None:
        """In this order."""
        calls: list[tuple[Any, ...]] = []
        runner = Runner([lambda *args: calls.append(args)])  # type: ignore[func-returns-value]
        old, new = Pending(), Running()
        runner.handle_state_change(old, new)
        assert calls == [(runner, old, new)]

    def test_the_targets_handlers_come_first(self) -> None:
        """A runner's own handlers see what they settled on."""

        class WithTarget(Runner):
            def call_runner_target_handlers(self, old_state: State, new_state: State) -> State:
                return Success("target")

        seen: list[str] = []
        WithTarget([lambda _r, _o, new: seen.append(new.message)]).handle_state_change(Pending(), Running())  # type: ignore[func-returns-value]
        assert seen == ["target"]

    def test_a_signal_ends_the_chain_with_its_state(self) -> None:
        """The remaining handlers are not called."""
        called: list[int] = []

        def skip(*_: Any) -> None:
            raise SKIP("enough")

        runner = Runner([skip, lambda *_: called.append(1)])  # type: ignore[func-returns-value]
        assert isinstance(runner.handle_state_change(Pending(), Running()), Skipped)
        assert not called

    @pytest.mark.parametrize("raised", [PAUSE("wait"), ENDRUN(Success())])
    def test_pause_and_endrun_go_to_the_runner(self, raised: Exception) -> None:
        """They decide about the run, not about one state."""

        def handler(*_: Any) -> None:
            raise raised

        with pytest.raises(type(raised)):
            Runner([handler]).handle_state_change(Pending(), Running())

    def test_an_error_ends_the_run_as_failed(self, caplog: pytest.LogCaptureFixture) -> None:
        """With the error as result: so no retry follows. The log has its traceback."""
        error = ValueError("broken")

        def handler(*_: Any) -> None:
            raise error

        with caplog.at_level(logging.ERROR), pytest.raises(ENDRUN) as raised:
            Runner([handler]).handle_state_change(Pending(), Running())
        assert raised.value.state.message == "Exception raised while calling state handlers."
        assert raised.value.state.result is error
        assert [record.exc_info[1] for record in caplog.records if record.exc_info] == [error]

    def test_a_chain_that_ends_with_no_state_is_an_error(self) -> None:
        """It is passed on from handler to handler unchecked; only the end counts."""
        rescued = Success()
        assert Runner([lambda *_: "oops", lambda *_: rescued]).handle_state_change(Pending(), Running()) is rescued  # type: ignore[list-item,return-value]
        with pytest.raises(ENDRUN) as raised:
            Runner([lambda *_: "oops"]).handle_state_change(Pending(), Running())  # type: ignore[list-item,return-value]
        assert isinstance(raised.value.state.result, AttributeError)

    @pytest.mark.parametrize("raised", [ValueError("x"), FAIL("x")])
    def test_with_raise_on_exception_they_are_raised(self, raised: Exception) -> None:
        """Errors and signals of handlers reach the caller."""

        def handler(*_: Any) -> None:
            raise raised

        with context(raise_on_exception=True), pytest.raises(type(raised)):
            Runner([handler]).handle_state_change(Pending(), Running())


class TestPipeline:
    """Steps are taken one after the other."""

    def test_each_step_gets_the_last_ones_state_and_what_is_given(self) -> None:
        """Their handlers are called in between."""
        calls: list[tuple[Any, ...]] = []

        def start(state: State, given: str) -> State:
            calls.append((start, state, given))
            return Running()

        def finish(state: State, given: str) -> State:
            calls.append((finish, state, given))
            return Success()

        runner = Runner([lambda _, old, new: calls.append((old, new))])
        outcome = runner.take_all((start, finish), before := Pending(), "given")
        assert calls == [
            (start, before, "given"),
            (before, Running()),
            (finish, Running(), "given"),
            (Running(), Success()),
        ]
        assert outcome == Success()

    def test_the_first_that_ends_is_the_last(self) -> None:
        """What comes after it is not asked."""
        over = End(Failed("over"))
        assert Runner().take_all((lambda *_: over, lambda *_: Success()), Pending(), None) == over

    def test_the_state_of_an_outcome(self) -> None:
        """Whether the pipeline goes on or not."""
        state = Success()
        assert state_of(state) is state
        assert state_of(End(state)) is state


class TestSteps:
    """One step: what it raises becomes a state, and handlers fire only for a different object."""

    def test_no_handler_fires_for_the_same_object(self) -> None:
        """Even if a step modified it."""
        calls: list[int] = []
        runner = Runner([lambda *_: calls.append(1)])  # type: ignore[func-returns-value]
        state = Pending()

        def modify(given: State) -> State:
            given.message = "changed"
            return given

        assert runner.take(modify, state) is state
        assert not calls

    def test_an_equal_but_different_object_fires_handlers(self) -> None:
        """Identity decides, not equality."""
        calls: list[int] = []
        runner = Runner([lambda *_: calls.append(1)])  # type: ignore[func-returns-value]
        runner.take(lambda _: Pending(), Pending())
        assert calls == [1]

    def test_a_signal_becomes_its_state_and_the_pipeline_goes_on(self) -> None:
        """Only ENDRUN and End stop it."""

        def step(_: State) -> State:
            raise FAIL("no")

        outcome = Runner().take(step, Running())
        assert isinstance(outcome, Failed)
        assert outcome.message == "no"

    def test_an_error_becomes_failed_with_its_repr(self) -> None:
        """The exception is the result."""
        error = ValueError("bad")

        def step(_: State) -> State:
            raise error

        outcome = Runner().take(step, Running())
        assert isinstance(outcome, Failed)
        assert "Unexpected error: " in outcome.message
        assert repr(error) in outcome.message
        assert outcome.result is error

    def test_endrun_ends_after_the_handlers(self) -> None:
        """The handlers may still change the final state."""
        replaced = Success("handled")

        def step(_: State) -> State:
            raise ENDRUN(Failed())

        outcome = Runner([lambda *_: replaced]).take(step, Running())
        assert outcome == End(replaced)

    @pytest.mark.parametrize("raised", [PAUSE("wait"), ENDRUN(Pending("enough"))])
    def test_a_handler_that_pauses_or_ends_the_run_ends_the_pipeline(self, raised: Any) -> None:
        """Though its state is pending, which the next step might set running."""

        def handler(*_: Any) -> None:
            raise raised

        assert Runner([handler]).take(lambda _: Pending(), Pending()) == End(raised.state)

    def test_with_raise_on_exception_a_pausing_handler_is_raised(self) -> None:
        """As any signal is; ENDRUN is not."""

        def handler(*_: Any) -> None:
            raise PAUSE("wait")

        with context(raise_on_exception=True), pytest.raises(PAUSE):
            Runner([handler]).take(lambda _: Pending(), Pending())

    def test_a_decorated_step_takes_state_by_position_and_keyword(self) -> None:
        """Steps of the users' own runners are methods."""

        class Own(Runner):
            @call_state_handlers
            def step(self, state: State, more: int = 0) -> State:
                if more:
                    raise ENDRUN(Failed())
                return Running()

        assert isinstance(Own().step(Pending()), Running)
        assert isinstance(Own().step(state=Pending()), Running)
        with pytest.raises(ENDRUN):
            Own().step(Pending(), more=1)
