"""Check the arguments of tasks and flows."""

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
    """Return a copy of tags as a set.

    Raises:
        TypeError: tags are a plain str, which would become its letters.
    """
    if isinstance(given, str):
        raise TypeError(f"tags must be a set of words, not a str; write [{given!r}].")
    return set(given or ())


def uuid_text(value: Any) -> str:
    """Return a UUID in text form.

    Raises:
        ValueError: it is not a UUID.
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
    """Return a new list of the handlers, and of one that calls `on_failure(obj, state)` for a failure.

    Raises:
        TypeError: `handlers` is not a sequence of callables, or `on_failure` is not callable.
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
    """Return a callable; `name` is the name of the argument.

    Raises:
        TypeError: it is not callable.
    """
    if not callable(given):
        raise TypeError(f"{name} must be a function, not {given!r}.")
    return given


def several(name: str, given: Iterable[Any] | None) -> Iterable[Any]:
    """Return a list of values; `name` is the name of the argument, None means an empty list.

    Raises:
        TypeError: it is not a collection, or it is a str, which would become its letters.
    """
    if given is None:
        return ()
    if isinstance(given, str | bytes) or not isinstance(given, Iterable):
        raise TypeError(f"{name} must be a list, not {given!r}; write [...] around it.")
    return given


def by_name(name: str, given: Mapping[str, Any] | None) -> Mapping[str, Any]:
    """Return a mapping of names to values; `name` is the name of the argument, None means an empty mapping.

    Raises:
        TypeError: it is not a mapping.
    """
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        raise TypeError(f"{name} must be a dict, not {given!r}.")
    return given


def timeout(seconds: int | None) -> int | None:
    """Return a timeout.

    Raises:
        TypeError: it is not a whole number of seconds.
        ValueError: it is less than one second.
    """
    if seconds is None:
        return None
    if isinstance(seconds, bool) or not hasattr(seconds, "__index__"):
        raise TypeError(f"timeout must be a whole number of seconds, not {seconds!r}.")
    if seconds < 1:
        raise ValueError(f"timeout must be 1 second or more, not {seconds!r}; omit it for no limit.")
    return index(seconds)


def cache_for(span: timedelta | None) -> timedelta | None:
    """Return how long later runs may use a result.

    Raises:
        TypeError: it is not a timedelta.
    """
    if span is not None and not isinstance(span, timedelta):
        raise TypeError(f"cache_for must be a timedelta, such as timedelta(hours=1), not {span!r}.")
    return span


def schedule(given: Schedule | None) -> Schedule | None:
    """Return a schedule: any object with a method `next`.

    Raises:
        TypeError: it has no such method, or is a class.
    """
    if given is not None and (isinstance(given, type) or not callable(getattr(given, "next", None))):
        raise TypeError(
            f"schedule must be a Schedule, such as IntervalSchedule(start, timedelta(hours=1)), not {given!r}."
        )
    return given


def parameter_name(name: str) -> str:
    """Return the name of a parameter.

    Raises:
        TypeError: it is not a str.
        ValueError: it is empty.
    """
    if not isinstance(name, str):
        raise TypeError(f"The name of a Parameter must be a str, not {name!r}.")
    if not name:
        raise ValueError("A Parameter needs a name, by which runs give its value.")
    return name
