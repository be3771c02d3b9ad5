"""What a task run computed, wrapped so that "nothing was computed" and "the result is None" stay apart."""

from __future__ import annotations

from typing import Any


def same_value(one: Any, other: Any) -> bool:
    """Whether two values are equal; what cannot be compared is not.

    Arrays and tables are if type, shape and all elements are: by their own `==` an array equals each of its elements.
    """
    if one is other:
        return True
    if shape_of(one) != shape_of(other) or (shape_of(one) and type(one) is not type(other)):
        return False
    try:
        equal = one == other
        # An array becomes one truth value by `all`; a table becomes a column first.
        for _ in range(2):
            equal = equal.all() if callable(getattr(equal, "all", None)) else equal
        return bool(equal)
    except Exception:
        return False


def shape_of(value: Any) -> tuple[Any, ...]:
    """The shape of an array or table; empty for all else."""
    shape = getattr(value, "shape", ())
    return shape if isinstance(shape, tuple) else ()


class Result:
    """A value that a task run computed.

    `result_handler` is kept for flows that name one; the engine itself does not use it.
    """

    __slots__ = ("result_handler", "value")

    def __init__(self, value: Any, result_handler: Any = None) -> None:
        self.value = value
        self.result_handler = result_handler

    def to_result(self) -> Result:
        """Give the wrapper itself, so that callers need not ask which kind they hold."""
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
        """Give the wrapper itself."""
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
"""Nothing was computed; distinct from `Result(None)`."""
