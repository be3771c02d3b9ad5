"""Make states portable between processes."""

from __future__ import annotations

import copy
import pickle

import cloudpickle

from flowkiln.common.exceptions import FlowkilnError
from flowkiln.common.safe_text import safe_str
from flowkiln.states.result import Result, Undelivered
from flowkiln.states.state import State


class ForeignError(FlowkilnError):
    """Replaces an exception that cannot be sent from the process in which it was raised."""


def portable(state: State) -> State:
    """Return a state whose exception, if its result is one, can be unpickled elsewhere.

    Many exception classes cannot, because their `args` do not match their constructor. They are replaced by a
    ForeignError with their text.
    """
    if isinstance(state._result, Undelivered):
        return state
    error = state.result
    if not isinstance(error, BaseException):
        return state
    try:
        pickle.loads(cloudpickle.dumps(error))  # noqa: S301  # what this process has just pickled
    except BaseException:
        changed = copy.copy(state)
        changed._result = Result(ForeignError(f"{type(error).__qualname__}: {safe_str(error)}"))
        if isinstance(changed.message, BaseException):
            changed.message = safe_str(changed.message)
        return changed
    return state
