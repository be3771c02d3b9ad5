"""The table of the state transitions that the engine makes, in the records of one task run.

A state handler, or the caller, may replace an outcome by any state; such overrides need not be in the table.
Within one visit a failure becomes Retrying and a Success becomes Cached. Between visits, a task run whose result was
lost with its worker becomes Pending again. A result that cannot be sent to the process of the run fails the task run at
the end.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from flowkiln.states import state as states
from flowkiln.states.kinds import NOT_STARTED
from flowkiln.states.records import TaskRunRecord
from flowkiln.states.state import State

_BEFORE_THE_BODY: frozenset[type[State]] = frozenset(
    {
        states.Running,
        states.Skipped,  # something upstream was
        states.TriggerFailed,
        states.Paused,  # by its trigger
        states.Failed,  # there is nothing to map over, or a handler failed
        states.Mapped,  # a parent
        states.Cancelled,
        states.Crashed,
        states.Pending,
    }
)

_AFTER_THE_BODY: frozenset[type[State]] = frozenset(
    {
        states.Success,
        states.Skipped,
        states.Failed,
        states.TimedOut,
        states.TriggerFailed,
        states.ValidationFailed,
        states.Retrying,  # by the signal RETRY
        states.Paused,
        states.Looped,
        states.Cancelled,
        states.Crashed,
        states.Running,  # the worker was lost, and it began anew
        states.Pending,  # the same, said at once
    }
)

_LOST: frozenset[type[State]] = frozenset({states.Pending})
_RETRIED: frozenset[type[State]] = frozenset({states.Retrying, states.Pending})

TABLE: Mapping[type[State], frozenset[type[State]]] = {
    states.Pending: _BEFORE_THE_BODY,
    states.Scheduled: _BEFORE_THE_BODY,
    states.Resume: _BEFORE_THE_BODY,
    states.Retrying: _BEFORE_THE_BODY,
    states.Paused: _BEFORE_THE_BODY | {states.Resume},
    states.Running: _AFTER_THE_BODY,
    states.Cancelling: frozenset({states.Cancelled, states.Crashed}),
    states.Looped: frozenset({states.Running, states.Cancelled, states.Crashed, states.Pending, states.Retrying}),
    states.Success: frozenset({states.Cached, states.Pending, states.Failed}),
    states.Cached: frozenset({states.Pending, states.Skipped, states.TriggerFailed, states.Failed}),
    states.Mapped: _LOST,
    states.Skipped: _LOST,
    states.Failed: _RETRIED,
    states.TimedOut: _RETRIED,
    states.TriggerFailed: _RETRIED,
    states.ValidationFailed: _RETRIED,
    states.Crashed: frozenset(),
    states.Cancelled: frozenset(),
}

_BY_NAME = {old.__name__: frozenset(new.__name__ for new in following) for old, following in TABLE.items()}


def is_legal(old: str, new: str) -> bool:
    """Return whether the engine may go from one state class to another, given by name as in records.

    Classes that are not built in come from handlers, and are always legal.
    """
    return old not in _BY_NAME or new not in _BY_NAME or new in _BY_NAME[old]


def illegal_transitions(
    records: Iterable[TaskRunRecord], start: Mapping[tuple[str, int], str] | None = None
) -> list[tuple[TaskRunRecord, str]]:
    """Return the records of a run that must not follow the previous record of their task run, with its state.

    `start` has the initial states of task runs, by local id and map index; the default is Pending.
    """
    last = dict(start or {})
    found = []
    for record in records:
        key = (record.task, record.map_index)
        before = last.get(key, NOT_STARTED)
        if not is_legal(before, record.state):
            found.append((record, before))
        last[key] = record.state
    return found
