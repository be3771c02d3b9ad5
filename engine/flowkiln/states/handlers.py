"""State handlers made from callables."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from flowkiln.states.state import State


@dataclass(frozen=True)
class _Callback:
    fn: Callable[[Any, State], Any]
    check: Callable[[State], bool]

    def __call__(self, obj: Any, old_state: State, new_state: State) -> State:
        if self.check(new_state) is True:
            self.fn(obj, new_state)
        return new_state


def callback_factory(
    fn: Callable[[Any, State], Any], check: Callable[[State], bool]
) -> Callable[[Any, State, State], State]:
    """Make a state handler that calls `fn(task_or_flow, new_state)` whenever `check(new_state) is True`.

    The handler returns `new_state`, so it never changes the outcome.
    """
    return _Callback(fn, check)
