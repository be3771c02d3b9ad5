"""Exceptions by which a body, trigger or handler chooses a state."""

from __future__ import annotations

from typing import Any

from flowkiln.common.exceptions import FlowkilnError
from flowkiln.states import state as states
from flowkiln.states.result import NoResult

__all__ = [
    "ENDRUN",
    "FAIL",
    "LOOP",
    "PAUSE",
    "RETRY",
    "SKIP",
    "SUCCESS",
    "TRIGGERFAIL",
    "VALIDATIONFAIL",
    "FlowkilnError",
    "StateSignal",
]


class ENDRUN(Exception):
    """Stops the pipeline with `state` as the outcome.

    Raised in a body with a Failed state, it fails the task run without a retry.
    """

    def __init__(self, state: states.State) -> None:
        super().__init__(state)
        self.state = state


class StateSignal(FlowkilnError):
    """Base of the signals. `state` is an instance of the signal's state class.

    The signal itself is the state's result unless `result` is given. Other arguments are passed to the state class;
    invalid ones raise TypeError at once.
    """

    _state_class: type[states.State] = states.State

    def __init__(self, message: Any = None, *args: Any, **kwargs: Any) -> None:
        super().__init__(message)
        kwargs.setdefault("result", self)
        self.state = self._make_state(message, args, kwargs)

    def _make_state(self, message: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> states.State:
        result = kwargs.pop("result")
        return self._state_class(message, result, *args, **kwargs)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.args[0]!r})"


class FAIL(StateSignal):
    """Fail the task run; it is retried like any failure."""

    _state_class = states.Failed


class TRIGGERFAIL(FAIL):
    """Fail the task run because its trigger is not satisfied."""

    _state_class = states.TriggerFailed


class VALIDATIONFAIL(FAIL):
    """Fail the task run because its result is invalid."""

    _state_class = states.ValidationFailed


class SUCCESS(StateSignal):
    """End the task run as Success."""

    _state_class = states.Success


class RETRY(StateSignal):
    """Retry at `start_time` (default: now), regardless of `max_retries`."""

    _state_class = states.Retrying


class SKIP(StateSignal):
    """Skip the task run."""

    _state_class = states.Skipped


class PAUSE(StateSignal):
    """Pause the task run until somebody resumes it."""

    _state_class = states.Paused


class LOOP(StateSignal):
    """Run the task again at once, with `result` in the context as `task_loop_result`.

    Without a result the next iteration gets the signal's repr.
    """

    _state_class = states.Looped

    def _make_state(self, message: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> states.State:
        result = kwargs.pop("result")
        if result is self or result is NoResult:
            result = repr(self)
        return states.Looped(message, result, *args, **kwargs)
