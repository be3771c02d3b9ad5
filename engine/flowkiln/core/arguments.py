"""Checks of the arguments that tasks and flows are made with."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import timedelta
from operator import index, methodcaller
from typing import TYPE_CHECKING, Any

from flowkiln.states.handlers import callback_factory

if TYPE_CHECKING:
    from flowkiln.schedules import Schedule


def tags(given: Iterable[str] | None) -> set[str]:
    """Give tags as a set of their own.

    Raises:
        TypeError: a plain str, which would become its letters.
    """
    if isinstance(given, str):
        raise TypeError(f"tags must be a set of words, not a str; write [{given!r}].")
    return set(given or ())


def uuid_text(value: Any) -> str:
    """Give back a UUID in text form.

    Raises:
        ValueError: it is none.
    """
    try:
        if isinstance(value, str):
            uuid.UUID(value)
            return value
    except ValueError:
        pass
    raise ValueError(f"An id must be a UUID as a str, not {value!r}.")


def state_handlers(
    handlers: Sequence[Callable[..., Any]] | None, on_failure: Callable[..., Any] | None
) -> list[Callable[..., Any]]:
    """Give a list of its own with the handlers, and one that calls `on_failure(obj, state)` for a failure.

    Raises:
        TypeError: `handlers` is no sequence of callables, or `on_failure` cannot be called.
    """
    if handlers and not isinstance(handlers, Sequence):
        raise TypeError(f"state_handlers must be a list of callables, not {type(handlers).__name__}.")
    own = list(handlers or ())
    for handler in own:
        if not callable(handler):
            raise TypeError(f"state_handlers must be a list of callables; {handler!r} is none.")
    if on_failure is not None:
        own.append(callback_factory(function("on_failure", on_failure), check=methodcaller("is_failed")))
    return own


def function(name: str, given: Callable[..., Any]) -> Callable[..., Any]:
    """Give back what is to be called; `name` is that of the argument.

    Raises:
        TypeError: it cannot be called.
    """
    if not callable(given):
        raise TypeError(f"{name} must be a function, not {given!r}.")
    return given


def several(name: str, given: Iterable[Any] | None) -> Iterable[Any]:
    """Give back things of which there may be any number; `name` is that of the argument, None means none of them.

    Raises:
        TypeError: it is one thing, or a str, which would become its letters.
    """
    if given is None:
        return ()
    if isinstance(given, str | bytes) or not isinstance(given, Iterable):
        raise TypeError(f"{name} must be a list, not {given!r}; write [...] around it.")
    return given


def by_name(name: str, given: Mapping[str, Any] | None) -> Mapping[str, Any]:
    """Give back things by their names; `name` is that of the argument, None means none of them.

    Raises:
        TypeError: it is no mapping.
    """
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        raise TypeError(f"{name} must be a dict, not {given!r}.")
    return given


def timeout(seconds: int | None) -> int | None:
    """Give back a timeout.

    Raises:
        TypeError: it is no whole number of seconds.
        ValueError: it is less than one second.
    """
    if seconds is None:
        return None
    if isinstance(seconds, bool) or not hasattr(seconds, "__index__"):
        raise TypeError(f"timeout must be a whole number of seconds, not {seconds!r}.")
    if seconds < 1:
        raise ValueError(f"timeout must be 1 second or more, not {seconds!r}; leave it out for no limit.")
    return index(seconds)


def cache_for(span: timedelta | None) -> timedelta | None:
    """Give back how long a result may be used again.

    Raises:
        TypeError: it is no timedelta.
    """
    if span is not None and not isinstance(span, timedelta):
        raise TypeError(f"cache_for must be a timedelta, such as timedelta(hours=1), not {span!r}.")
    return span


def schedule(given: Schedule | None) -> Schedule | None:
    """Give back a schedule: anything with a method `next`.

    Raises:
        TypeError: it has none, or is a class.
    """
    if given is not None and (isinstance(given, type) or not callable(getattr(given, "next", None))):
        raise TypeError(
            f"schedule must be a Schedule, such as IntervalSchedule(start, timedelta(hours=1)), not {given!r}."
        )
    return given


def parameter_name(name: str) -> str:
    """Give back the name of a parameter.

    Raises:
        TypeError: it is no str.
        ValueError: it is empty.
    """
    if not isinstance(name, str):
        raise TypeError(f"The name of a Parameter must be a str, not {name!r}.")
    if not name:
        raise ValueError("A Parameter needs a name, by which runs give its value.")
    return name
