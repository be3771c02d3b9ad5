"""States: hierarchy, fields, equality."""

from __future__ import annotations

import datetime as dt
import pickle

import numpy as np
import pandas as pd
import pytest

from flowkiln import context
from flowkiln.engine import state as states
from flowkiln.engine.result import NoResult, Result
from flowkiln.engine.state import (
    Cached,
    Cancelled,
    Cancelling,
    Crashed,
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
    ValidationFailed,
)
from flowkiln.states.state import without_result

ALL = [
    State,
    Pending,
    Paused,
    Scheduled,
    Resume,
    Retrying,
    Submitted,
    Queued,
    Running,
    Cancelling,
    Finished,
    Looped,
    Cancelled,
    Success,
    Cached,
    Mapped,
    Skipped,
    Failed,
    TimedOut,
    TriggerFailed,
    ValidationFailed,
    Crashed,
]

PREDICATES: dict[str, set[type[State]]] = {
    "is_pending": {Pending, Paused, Scheduled, Resume, Retrying},
    "is_scheduled": {Scheduled, Resume, Retrying},
    "is_retrying": {Retrying},
    "is_running": {Running, Cancelling},
    "is_finished": {
        Finished,
        Looped,
        Cancelled,
        Success,
        Cached,
        Mapped,
        Skipped,
        Failed,
        TimedOut,
        TriggerFailed,
        ValidationFailed,
        Crashed,
    },
    "is_successful": {Success, Cached, Mapped, Skipped},
    "is_failed": {Failed, TimedOut, TriggerFailed, ValidationFailed, Crashed},
    "is_skipped": {Skipped},
    "is_cached": {Cached},
    "is_mapped": {Mapped},
    "is_looped": {Looped},
    "is_meta_state": {Submitted, Queued},
}


@pytest.mark.parametrize("cls", ALL)
@pytest.mark.parametrize("predicate", PREDICATES)
def test_each_predicate_is_true_for_its_class_and_what_is_below(cls: type[State], predicate: str) -> None:
    """Skipped, Cached and Mapped are successful, TimedOut and TriggerFailed failed, Cancelled is neither."""
    assert getattr(cls(), predicate)() is (cls in PREDICATES[predicate])


@pytest.mark.parametrize("cls", ALL)
def test_every_state_can_be_made_without_arguments(cls: type[State]) -> None:
    """All arguments have defaults, and message and result come first."""
    assert cls().message is None
    assert cls().result == NoResult
    made = cls("why", 1)
    assert (made.message, made.result) == ("why", 1)
    assert made.color.startswith("#")


@pytest.mark.parametrize(
    ("cls", "color"), [(State, "#000000"), (Submitted, "#b0c4de"), (Success, "#008000"), (Retrying, "#FFFF00")]
)
def test_colors_are_class_attributes(cls: type[State], color: str) -> None:
    """Drawings of flows use them."""
    assert cls.color == color


@pytest.mark.parametrize("cls", [c for c in ALL if not issubclass(c, Scheduled)])
def test_only_scheduled_states_have_a_start_time(cls: type[State]) -> None:
    """What waits for a time is found by this attribute."""
    assert not hasattr(cls(), "start_time")


def test_the_order_of_arguments_is_that_of_the_table() -> None:
    """Users pass them by position."""
    when = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
    inputs = {"x": Result(1)}
    retrying = Retrying("m", 1, when, inputs, 3)
    assert (retrying.start_time, retrying.cached_inputs, retrying.run_count) == (when, inputs, 3)
    cached = Cached("m", 1, inputs, {"p": 2}, when)
    assert (cached.cached_inputs, cached.cached_parameters, cached.cached_result_expiration) == (inputs, {"p": 2}, when)
    assert Mapped("m", 1, [Success()]).n_map_states == 1
    assert TimedOut("m", 1, inputs).cached_inputs == inputs
    assert Paused("m", 1, inputs).cached_inputs == inputs
    assert Submitted("m", 1, Success()).state == Success()


class TestResultProperty:
    """The payload is wrapped; reading gives the value."""

    def test_values_are_wrapped(self) -> None:
        """Any value becomes a Result; the wrapper is `_result`."""
        state = Success(result=None)
        assert state.result is None
        assert state._result == Result(None)

    def test_wrappers_are_stored_as_they_are(self) -> None:
        """A Result or NoResult is not wrapped again."""
        wrapper = Result(1, "handler")
        assert Success(result=wrapper)._result is wrapper
        assert Success(result=NoResult)._result is NoResult

    def test_setting_follows_the_same_rule(self) -> None:
        """So that `state.result = value` and the constructor agree."""
        state = Success()
        state.result = 5
        assert state._result == Result(5)
        state.result = NoResult
        assert state._result is NoResult


class TestTimes:
    """Start times and expirations are aware."""

    def test_the_default_start_time_is_now(self) -> None:
        """A Scheduled state without a time may start at once."""
        before = dt.datetime.now(dt.UTC)
        assert before <= Scheduled().start_time <= dt.datetime.now(dt.UTC)

    def test_naive_times_are_utc(self) -> None:
        """No time without a zone gets into a state."""
        naive = dt.datetime(2020, 1, 1)
        assert Scheduled(start_time=naive).start_time == dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
        assert Cached(cached_result_expiration=naive).cached_result_expiration == dt.datetime(2020, 1, 1, tzinfo=dt.UTC)

    def test_no_expiration_stays_none(self) -> None:
        """None means that the result never expires."""
        assert Cached().cached_result_expiration is None


class TestDefaultsFromContext:
    """Retrying and Looped know how far the task run is."""

    def test_run_count(self) -> None:
        """The context's run count, else 1."""
        assert Retrying().run_count == 1
        with context(task_run_count=4):
            assert Retrying().run_count == 4
            assert Retrying(run_count=2).run_count == 2

    def test_loop_count(self) -> None:
        """The context's loop count, else 1."""
        assert Looped().loop_count == 1
        with context(task_loop_count=4):
            assert Looped().loop_count == 4


class TestEquality:
    """Equal: same type, result value and public attributes."""

    def test_type_and_result_count_but_not_the_message(self) -> None:
        """Messages are for people."""
        assert Success("a", 1) == Success("b", 1)
        assert Success(result=1) != Success(result=2)
        assert Success() != Finished()
        assert Success(result=Result(1, "a")) == Success(result=Result(1, "b"))

    def test_public_attributes_count(self) -> None:
        """Inputs, times, counts and children are part of the value."""
        when = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
        assert Pending(cached_inputs={"x": Result(1)}) == Pending(cached_inputs={"x": Result(1)})
        assert Pending(cached_inputs={"x": Result(1)}) != Pending()
        assert Scheduled(start_time=when) == Scheduled(start_time=when)
        assert Retrying(start_time=when, run_count=1) != Retrying(start_time=when, run_count=2)
        assert Mapped(map_states=[Success(result=1)]) == Mapped(map_states=[Success(result=1)])
        assert Mapped(map_states=[Success(result=1)]) != Mapped(map_states=[Success(result=2)])

    def test_arrays_and_missing_values_in_attributes(self) -> None:
        """By content: their own `==` is no truth value."""
        for same, other in ((np.array([1, 2]), np.array([1, 3])), (pd.array([1, None]), pd.array([1, 5]))):
            assert Cached(cached_parameters={"p": same}) == Cached(cached_parameters={"p": same.copy()})
            assert Cached(cached_parameters={"p": same}) != Cached(cached_parameters={"p": other})
            assert Pending(cached_inputs={"x": Result(same)}) != Pending(cached_inputs={"x": Result(other)})

    def test_underscore_attributes_do_not_count(self) -> None:
        """They are bookkeeping."""
        one, other = Success(), Success()
        one._note = 1  # type: ignore[attr-defined]
        assert one == other

    def test_the_hash_is_by_identity(self) -> None:
        """States with mutable payloads can be in sets, and equal ones stay distinct there."""
        assert len({Success(result=[1]), Success(result=[1])}) == 2


@pytest.mark.parametrize(
    ("state", "text"),
    [(Success("done"), 'Success("done")'), (Success(), "Success()"), (Failed('a"b'), 'Failed("a"b")')],
)
def test_repr_and_str_show_class_and_message_verbatim(state: State, text: str) -> None:
    """They are what people read in logs."""
    assert repr(state) == str(state) == text


@pytest.mark.parametrize("cls", ALL)
def test_states_survive_pickling(cls: type[State]) -> None:
    """They travel between processes."""
    state = cls("m", {"a": 1})
    assert pickle.loads(pickle.dumps(state)) == state


def test_a_state_without_its_result_is_light() -> None:
    """What the driver keeps carries no values, and the original is untouched."""
    heavy = Cached("m", "value", {"x": Result(1)}, {"p": 1})
    light = without_result(heavy)
    assert (light.result, light.cached_inputs, light.cached_parameters) == (NoResult, None, None)
    assert (heavy.result, heavy.cached_inputs) == ("value", {"x": Result(1)})
    assert without_result(Failed(ValueError("x"))).message == "x"


def test_a_state_class_of_the_users_keeps_its_parents_place() -> None:
    """Classes stay open."""

    class Done(Success):
        color = "#123456"

    assert Done().is_successful()
    assert Done() != Success()
    assert type(without_result(Done("m"))) is Done
    assert all(hasattr(states, cls.__name__) for cls in ALL)
