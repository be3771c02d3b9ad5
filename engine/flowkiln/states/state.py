"""States of task runs and flow runs.

States are values. The engine never modifies a state that it did not just create. A step without effect returns the same
object: handlers fire only for a different one.
"""

from __future__ import annotations

import copy
import datetime as dt
from typing import Any, Self

from flowkiln.common.safe_text import safe_str
from flowkiln.states.cache_record import CacheRecord
from flowkiln.states.result import NoResult, Result, same_value


def utc_now() -> dt.datetime:
    """Return the current time as an aware datetime."""
    return dt.datetime.now(dt.UTC)


def as_aware(moment: dt.datetime) -> dt.datetime:
    """Return a datetime with a time zone; a naive one counts as UTC."""
    return moment.replace(tzinfo=dt.UTC) if moment.tzinfo is None else moment


def wrap(value: Any) -> Result:
    """Return a payload wrapped in `Result`, unless it is already wrapped."""
    return value if isinstance(value, Result) else Result(value)


def message_text(state: State, limit: int | None = None) -> str:
    """Return the message of a state as text, cut to `limit` characters; empty if it has none."""
    message = state.message
    return "" if message is None else safe_str(message, limit)


class State:
    """The base of all states.

    `message` is any object, stored unchanged. `result` is the payload, or `NoResult`.
    Two states are equal if they have the same type, result value and public attributes; the message does not count.
    The hash is by identity, so states with mutable payloads can be in sets.
    """

    color = "#000000"
    # For subclasses with a constructor of their own that does not call this one.
    message: Any = None
    _result: Result = NoResult

    def __init__(self, message: Any = None, result: Any = NoResult) -> None:
        self.message = message
        self._result = result if isinstance(result, Result) else Result(result)

    @property
    def result(self) -> Any:
        """Return the payload: the raw value, or `NoResult`."""
        return self._result.value

    @result.setter
    def result(self, value: Any) -> None:
        self._result = wrap(value)

    def __eq__(self, other: object) -> bool:
        if type(self) is not type(other) or not isinstance(other, State):
            return False
        if not same_value(self._result.value, other._result.value):
            return False
        mine, others = _public(self), _public(other)
        return mine.keys() == others.keys() and all(same_value(mine[name], others[name]) for name in mine)

    __hash__ = object.__hash__

    def __copy__(self) -> Self:
        # The default implementation of `copy` takes five times as long, and elements of maps are copies.
        twin = object.__new__(type(self))
        twin.__dict__.update(self.__dict__)
        return twin

    def __repr__(self) -> str:
        text = message_text(self)
        return f'{type(self).__name__}("{text}")' if text else f"{type(self).__name__}()"

    def is_pending(self) -> bool:
        """Return whether this is a Pending state: not started, waiting, paused or about to be retried."""
        return isinstance(self, Pending)

    def is_scheduled(self) -> bool:
        """Return whether this state waits for a start time."""
        return isinstance(self, Scheduled)

    def is_retrying(self) -> bool:
        """Return whether this state waits for another attempt."""
        return isinstance(self, Retrying)

    def is_running(self) -> bool:
        """Return whether the body is running."""
        return isinstance(self, Running)

    def is_finished(self) -> bool:
        """Return whether it is final."""
        return isinstance(self, Finished)

    def is_successful(self) -> bool:
        """Return whether it succeeded; skips count."""
        return isinstance(self, Success)

    def is_failed(self) -> bool:
        """Return whether it ended in failure."""
        return isinstance(self, Failed)

    def is_skipped(self) -> bool:
        """Return whether it was skipped."""
        return isinstance(self, Skipped)

    def is_cached(self) -> bool:
        """Return whether later runs may use its result."""
        return isinstance(self, Cached)

    def is_mapped(self) -> bool:
        """Return whether it is the parent of mapped children."""
        return isinstance(self, Mapped)

    def is_looped(self) -> bool:
        """Return whether one iteration of a loop ended."""
        return isinstance(self, Looped)

    def is_meta_state(self) -> bool:
        """Return whether it only wraps another state."""
        return isinstance(self, _MetaState)


def _public(state: State) -> dict[str, Any]:
    return {k: v for k, v in state.__dict__.items() if k != "message" and not k.startswith("_")}


class Pending(State):
    """Not started. `cached_inputs` are inputs gathered by an earlier visit."""

    color = "#d3d3d3"

    def __init__(
        self, message: Any = None, result: Any = NoResult, cached_inputs: dict[str, Result] | None = None
    ) -> None:
        # Without the call of the base: every task run makes one of these.
        self.message = message
        self._result = result if isinstance(result, Result) else Result(result)
        self.cached_inputs = cached_inputs


class Paused(Pending):
    """Waits until somebody resumes it."""

    color = "#800000"


class Scheduled(Pending):
    """Waits for `start_time`, an aware datetime (default: now)."""

    color = "#b0c4de"

    def __init__(
        self,
        message: Any = None,
        result: Any = NoResult,
        start_time: dt.datetime | None = None,
        cached_inputs: dict[str, Result] | None = None,
    ) -> None:
        super().__init__(message, result, cached_inputs)
        self.start_time = utc_now() if start_time is None else as_aware(start_time)


class Resume(Scheduled):
    """Continues a paused task run."""

    color = "#20B2AA"


class Retrying(Scheduled):
    """Waits for another attempt; `run_count` attempts were made so far."""

    color = "#FFFF00"

    def __init__(
        self,
        message: Any = None,
        result: Any = NoResult,
        start_time: dt.datetime | None = None,
        cached_inputs: dict[str, Result] | None = None,
        run_count: int | None = None,
    ) -> None:
        super().__init__(message, result, start_time, cached_inputs)
        self.run_count = _from_context("task_run_count", 1) if run_count is None else run_count


class _MetaState(State):
    """Wraps another state."""

    color = "#b0c4de"

    def __init__(self, message: Any = None, result: Any = NoResult, state: State | None = None) -> None:
        super().__init__(message, result)
        self.state = state


class Submitted(_MetaState):
    """Submitted for execution."""


class Queued(_MetaState):
    """Waits for a free slot."""


class Running(State):
    """In progress."""

    color = "#00FF00"


class Cancelling(Running):
    """Being stopped."""

    color = "#FF8C00"


class Finished(State):
    """Final."""

    color = "#BA55D3"


class Looped(Finished):
    """One iteration of a loop ended; `loop_count` is its index, from 1."""

    color = "#20B2AA"

    def __init__(self, message: Any = None, result: Any = NoResult, loop_count: int | None = None) -> None:
        super().__init__(message, result)
        self.loop_count = _from_context("task_loop_count", 1) if loop_count is None else loop_count


class Cancelled(Finished):
    """Ended on request: neither successful nor failed."""

    color = "#8B4513"


class Success(Finished):
    """Succeeded."""

    color = "#008000"


class Cached(Success):
    """Succeeded, and later runs may use the result until `cached_result_expiration` (None: for ever)."""

    color = "#ffa500"
    _record = CacheRecord()

    def __init__(
        self,
        message: Any = None,
        result: Any = NoResult,
        cached_inputs: dict[str, Result] | None = None,
        cached_parameters: dict[str, Any] | None = None,
        cached_result_expiration: dt.datetime | None = None,
    ) -> None:
        super().__init__(message, result)
        self.cached_inputs = cached_inputs
        self.cached_parameters = cached_parameters
        self.cached_result_expiration = None if cached_result_expiration is None else as_aware(cached_result_expiration)


class Mapped(Success):
    """The parent of mapped children, whose states are `map_states` (None for a child that never started)."""

    color = "#97FFFF"

    def __init__(
        self, message: Any = None, result: Any = NoResult, map_states: list[State | None] | None = None
    ) -> None:
        super().__init__(message, result)
        self.map_states: list[State | None] = [] if map_states is None else map_states

    @property
    def n_map_states(self) -> int:
        """Return the number of children."""
        return len(self.map_states)


class Skipped(Success):
    """Skipped on purpose."""

    color = "#F0FFF0"


class Failed(Finished):
    """Ended in failure; the result is usually the exception."""

    color = "#FF0000"


class TimedOut(Failed):
    """Took longer than its timeout."""

    color = "#CDC9A5"

    def __init__(
        self, message: Any = None, result: Any = NoResult, cached_inputs: dict[str, Result] | None = None
    ) -> None:
        super().__init__(message, result)
        self.cached_inputs = cached_inputs


class TriggerFailed(Failed):
    """Did not run, because its trigger was not satisfied."""

    color = "#F08080"


class ValidationFailed(Failed):
    """The result did not pass validation."""

    color = "#DC143C"


class Crashed(Failed):
    """The platform lost the task run: its worker was lost too often, or its result cannot be recovered."""

    color = "#8B0000"


KINDS: dict[type[State], str] = {
    one: name
    for name, one in tuple(globals().items())
    if isinstance(one, type) and issubclass(one, State) and one is not State and not name.startswith("_")
}
"""The State classes of this module, with their names in displays, the custom resource and its counts."""


def kind_of(state: State) -> str:
    """Return the name of a state's built-in class: for a user's class, the nearest built-in base.

    A state whose only base is State neither runs nor has ended: it counts as Pending.
    """
    kind = KINDS.get(type(state))
    return kind or next((KINDS[base] for base in type(state).__mro__ if base in KINDS), "Pending")


def own_class_of(state: State) -> str:
    """Return the name of the state's class if it is a user's class, else an empty string."""
    return "" if type(state) in KINDS else type(state).__name__


def _from_context(key: str, default: int) -> int:
    from flowkiln.common.context import context

    value = context.get(key, default)
    return value if isinstance(value, int) else default


def without_result(state: State) -> State:
    """Return a copy without values for the driver: only type, message and plain attributes.

    Messages that are objects (an exception, for example) become text, so the copy can always be pickled.
    """
    light = copy.copy(state)
    light._result = NoResult
    if light.message is not None and not isinstance(light.message, str):
        light.message = message_text(light)
    if "cached_inputs" in light.__dict__:
        light.__dict__["cached_inputs"] = None
    if "cached_parameters" in light.__dict__:
        light.__dict__["cached_parameters"] = None
    light.__dict__.pop("_loop", None)
    light.__dict__.pop("_record", None)
    if isinstance(light, Mapped):
        light.map_states = []
        light.__dict__.pop("_summary", None)
    return light
