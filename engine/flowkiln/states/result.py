"""Results of task runs, wrapped to distinguish "no result" from "the result is None"."""

from __future__ import annotations

from typing import Any

from flowkiln.common.exceptions import SerializationError


def same_value(one: Any, other: Any) -> bool:
    """Return whether two values are equal; values that cannot be compared are not.

    Arrays and tables, and containers of them, are equal if type and content are (see `flowkiln.states.digests`): their
    own `==` compares element by element and returns nothing for missing values.
    """
    if one is other:
        return True
    if shape_of(one) or shape_of(other):
        return type(one) is type(other) and _same_content(one, other)
    try:
        if type(one) is type(other) and type(one) in (dict, list, tuple):
            return _same_elements(one, other)
        return bool(one == other)
    except Exception:
        return _same_content(one, other)


def _same_elements(one: Any, other: Any) -> bool:
    """Return whether two collections of one type have equal elements; `==` is unreliable if they contain arrays."""
    if len(one) != len(other):
        return False
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same_value(one[key], other[key]) for key in one)
    return all(map(same_value, one, other))


def _same_content(one: Any, other: Any) -> bool:
    from flowkiln.states.digests import NoDigest, digest

    try:
        return digest(one) == digest(other)
    except NoDigest:
        return False


def shape_of(value: Any) -> tuple[Any, ...]:
    """Return the shape of an array or table; empty for other values."""
    shape = getattr(value, "shape", ())
    return shape if isinstance(shape, tuple) else ()


class Result:
    """A value that a task run computed.

    `result_handler` is stored but not used by the engine.
    """

    __slots__ = ("result_handler", "value")

    def __init__(self, value: Any, result_handler: Any = None) -> None:
        self.value = value
        self.result_handler = result_handler

    def to_result(self) -> Result:
        """Return the wrapper itself, so callers need not check its type."""
        return self

    def __eq__(self, other: object) -> bool:
        return (
            type(self) is type(other)
            and isinstance(other, Result)
            and same_value(self.value, other.value)
            and self.result_handler == other.result_handler
        )

    def __hash__(self) -> int:
        raise TypeError("a Result is compared by its value, which may change, so it cannot be hashed")

    def __repr__(self) -> str:
        return f"<Result: {self.value!r}>"


class NoResultType(Result):
    """The type of `NoResult`. All instances are equal, so a copy from another process still means the same."""

    __slots__ = ()

    def __init__(self) -> None:
        self.value = self

    def to_result(self) -> Result:
        """Return the wrapper itself."""
        return self

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other)

    def __hash__(self) -> int:
        return hash(NoResultType)

    def __repr__(self) -> str:
        return "<No result>"

    def __str__(self) -> str:
        return "NoResult"

    def __reduce__(self) -> str:
        return "NoResult"


NoResult = NoResultType()
"""The absence of a result; distinct from `Result(None)`."""


class Undelivered(Result):
    """A result that could not be sent to this process; reading it raises SerializationError.

    Apart from it, the state is the one with which the task run ended.
    """

    __slots__ = ("reason",)

    def __init__(self, reason: str) -> None:
        self.reason = reason
        self.result_handler = None

    @property
    def value(self) -> Any:
        """Raise SerializationError: the result is not in this process."""
        raise SerializationError(self.reason)

    def to_result(self) -> Result:
        """Raise SerializationError: the result is not in this process."""
        raise SerializationError(self.reason)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Undelivered) and self.reason == other.reason

    def __hash__(self) -> int:
        return hash(self.reason)

    def __reduce__(self) -> tuple[type[Undelivered], tuple[str]]:
        return Undelivered, (self.reason,)

    def __repr__(self) -> str:
        return f"<Undelivered: {self.reason}>"


def not_arrived(upstream: Any, error: SerializationError) -> SerializationError:
    """Return an error that names the upstream task whose result could not be sent here."""
    return SerializationError(f"The result of {getattr(upstream, 'name', upstream)!r} did not arrive. {error}")
