"""Signals: which state each one stands for."""

from __future__ import annotations

import datetime as dt
import pickle

import pytest

from flowkiln import context
from flowkiln.engine import runner, signals, state
from flowkiln.engine.signals import (
    ENDRUN,
    FAIL,
    LOOP,
    PAUSE,
    RETRY,
    SKIP,
    SUCCESS,
    TRIGGERFAIL,
    VALIDATIONFAIL,
    StateSignal,
)
from flowkiln.utilities.exceptions import FlowkilnError

STATES = {
    StateSignal: state.State,
    FAIL: state.Failed,
    TRIGGERFAIL: state.TriggerFailed,
    VALIDATIONFAIL: state.ValidationFailed,
    SUCCESS: state.Success,
    RETRY: state.Retrying,
    SKIP: state.Skipped,
    PAUSE: state.Paused,
}


@pytest.mark.parametrize(("signal", "cls"), STATES.items())
def test_a_signal_makes_its_state_with_itself_as_result(signal: type[StateSignal], cls: type[state.State]) -> None:
    """Who gets the state can see the signal that led to it."""
    raised = signal("why")
    assert type(raised.state) is cls
    assert raised.state.message == "why"
    assert raised.state.result is raised
    assert isinstance(raised, FlowkilnError)


@pytest.mark.parametrize("signal", STATES)
def test_a_result_can_be_given_instead(signal: type[StateSignal]) -> None:
    """None too is such a result."""
    assert signal("why", result=None).state.result is None


@pytest.mark.parametrize("signal", [*STATES, LOOP])
def test_wrong_arguments_are_refused_at_once(signal: type[StateSignal]) -> None:
    """Not when somebody looks at the state."""
    with pytest.raises(TypeError):
        signal("why", no_such_argument=1)


@pytest.mark.parametrize("signal", [*STATES, LOOP])
def test_the_repr_names_class_and_message(signal: type[StateSignal]) -> None:
    """For logs."""
    assert signal.__name__ in repr(signal("why"))
    assert "why" in repr(signal("why"))


@pytest.mark.parametrize("signal", [*STATES, LOOP])
def test_signals_survive_pickling(signal: type[StateSignal]) -> None:
    """Their states travel from worker to worker with the signal inside."""
    copy = pickle.loads(pickle.dumps(signal("why")))
    assert copy.state.message == "why"
    assert type(copy.state) is type(signal("why").state)


def test_retry_takes_a_time_and_a_count() -> None:
    """Defaults are now and the context's run count."""
    when = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
    waiting = RETRY("m", start_time=when, run_count=3).state
    assert (waiting.start_time, waiting.run_count) == (when, 3)  # type: ignore[attr-defined]
    with context(task_run_count=2):
        assert RETRY().state.run_count == 2  # type: ignore[attr-defined]


def test_loop_carries_its_result_or_its_repr() -> None:
    """The next iteration always has something to read."""
    assert LOOP(result=5).state.result == 5
    assert LOOP(result=None).state.result is None
    assert LOOP("again").state.result == repr(LOOP("again"))
    with context(task_loop_count=3):
        assert LOOP().state.loop_count == 3  # type: ignore[attr-defined]


def test_trigger_and_validation_failures_are_failures() -> None:
    """`except FAIL` catches them."""
    assert issubclass(TRIGGERFAIL, FAIL)
    assert issubclass(VALIDATIONFAIL, FAIL)


def test_endrun_carries_a_state_and_is_one_class_everywhere() -> None:
    """The state is required; every path to the name is the same class."""
    ended = state.Failed()
    assert ENDRUN(ended).state is ended
    with pytest.raises(TypeError):
        ENDRUN()  # type: ignore[call-arg]
    from flowkiln.engine import flow_runner, task_runner

    assert signals.ENDRUN is runner.ENDRUN is task_runner.ENDRUN is flow_runner.ENDRUN
