"""State handlers, and pipelines of named steps."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from flowkiln.common.context import context as run_context
from flowkiln.common.safe_text import safe_repr
from flowkiln.engine.bodies.deadlines import is_stop
from flowkiln.engine.bodies.interrupts import is_interrupt
from flowkiln.engine.bodies.registry import BodyInterrupted
from flowkiln.states.signals import ENDRUN, PAUSE, StateSignal
from flowkiln.states.state import Failed, Pending, State

StateHandler = Callable[[Any, State, State], State | None]

Given = TypeVar("Given")
"""What a pipeline gives to each of its steps beside the state."""

__all__ = ["ENDRUN", "End", "Runner", "call_state_handlers", "state_of", "unwrap"]


@dataclass(frozen=True, slots=True)
class End:
    """Returned by a step to end its pipeline with `state`; a bare State continues the pipeline."""

    state: State


def state_of(outcome: State | End) -> State:
    """Return the state of an outcome, whether the pipeline continues or ends with it."""
    return outcome.state if isinstance(outcome, End) else outcome


def unwrap(state: State | None) -> State:
    """Return the innermost state of nested meta states; for None a new Pending."""
    while state is not None and state.is_meta_state():
        state = state.state  # type: ignore[attr-defined]
    return Pending() if state is None else state


def raising() -> bool:
    """Return whether exceptions are raised instead of becoming states (context key raise_on_exception)."""
    return bool(run_context.get("raise_on_exception"))


def is_for_caller(error: BaseException) -> bool:
    """Return whether an exception of user code is raised instead of becoming a state.

    With raise_on_exception all are. A Ctrl-C, the end of an enclosing run, and the stop of an enclosing deadline always
    are.
    """
    return raising() or isinstance(error, BodyInterrupted) or is_interrupt(error) or is_stop(error)


class Runner:
    """Base of TaskRunner and FlowRunner: calls state handlers when a step changes the state.

    A handler `fn(runner, old, new)` returns the new State, or None to keep it.
    """

    def __init__(self, state_handlers: Sequence[StateHandler] | None = None) -> None:
        if state_handlers is not None and not isinstance(state_handlers, Sequence):
            raise TypeError("state_handlers must be a sequence of callables, or None")
        self.state_handlers: list[StateHandler] = list(state_handlers or ())

    @functools.cached_property
    def logger(self) -> logging.Logger:
        """Named after the class; got when it is needed, for most runs have nothing to say."""
        return logging.getLogger(f"flowkiln.{type(self).__name__}")

    def call_runner_target_handlers(self, old_state: State, new_state: State) -> State:
        """Call the handlers of the task or flow; the base class has none."""
        return new_state

    def handle_state_change(self, old_state: State, new_state: State) -> State:
        """Call all handlers, the target's first, and return the state they settle on.

        Raises ENDRUN (from a handler, or with Failed when one raises anything unexpected) and PAUSE.
        """
        try:
            new_state = self.call_runner_target_handlers(old_state, new_state)
            for handler in self.state_handlers:
                new_state = handler(self, old_state, new_state) or new_state
            if not isinstance(new_state, State):
                returned = safe_repr(new_state)
                raise AttributeError(
                    f"A state handler of {self.described()} returned {returned}; it must return a State or None."
                )
        except (ENDRUN, PAUSE):
            raise
        except StateSignal as signal:
            if raising():
                raise
            return signal.state
        except BaseException as error:
            if is_for_caller(error):
                raise
            self.logger.exception("Exception raised while calling state handlers of %s", self.described())
            raise ENDRUN(Failed("Exception raised while calling state handlers.", result=error)) from error
        return new_state

    def take_all(
        self, steps: Iterable[Callable[[State, Given], State | End]], state: State, given: Given
    ) -> State | End:
        """Run the steps in order until one ends the pipeline.

        Exceptions of a step become states. Handlers are called when the state changes.
        """
        for step in steps:
            try:
                outcome = step(state, given)
                # Most steps have nothing to do.
                if outcome is state:
                    continue
            except ENDRUN as end:
                outcome = End(end.state)
            except StateSignal as signal:
                if raising():
                    raise
                outcome = signal.state
            except BaseException as error:
                if is_for_caller(error):
                    raise
                self.logger.debug("Unexpected error in %s", self.described(), exc_info=True)
                outcome = Failed(f"Unexpected error: {safe_repr(error)}", result=error)
            outcome = self._settle(state, outcome)
            if isinstance(outcome, End):
                return outcome
            state = outcome
        return state

    def take(self, step: Callable[[State], State | End], state: State) -> State | End:
        """Take one step that needs nothing but the state."""
        return self.take_all((lambda before, _given: step(before),), state, None)

    def _settle(self, state: State, outcome: State | End) -> State | End:
        """Call the handlers if a step changed the state, and return the outcome that they settle on."""
        ends = isinstance(outcome, End)
        new_state = outcome.state if isinstance(outcome, End) else outcome
        if new_state is state:
            return outcome
        try:
            settled = self.handle_state_change(state, new_state)
        except ENDRUN as end:
            return End(end.state)
        except PAUSE as pause:
            if raising():
                raise
            return End(pause.state)
        return End(settled) if ends else settled

    def described(self) -> str:
        """Return the name of the task or flow for messages."""
        return type(self).__name__


def call_state_handlers(method: Callable[..., State]) -> Callable[..., State]:
    """Make a method `step(self, state, ...)` of a Runner call the state handlers when it changes the state.

    Raises ENDRUN when the step, or a handler, ends the pipeline.
    """

    @functools.wraps(method)
    def wrapped(self: Runner, state: State, *args: Any, **kwargs: Any) -> State:
        outcome = self.take(lambda given: method(self, given, *args, **kwargs), state)
        if isinstance(outcome, End):
            raise ENDRUN(outcome.state)
        return outcome

    return wrapped
