"""Tasks of Python's operators, made by the operators of `Task`."""

from __future__ import annotations

from typing import Any

from flowkiln.core.task import Task


class _Operator(Task):
    is_operator = True


class Add(_Operator):
    """`x + y`."""

    def run(self, x: Any, y: Any) -> Any:
        """Return the sum."""
        return x + y


class Sub(_Operator):
    """`x - y`."""

    def run(self, x: Any, y: Any) -> Any:
        """Return the difference."""
        return x - y


class Mul(_Operator):
    """`x * y`."""

    def run(self, x: Any, y: Any) -> Any:
        """Return the product."""
        return x * y


class Div(_Operator):
    """`x / y`."""

    def run(self, x: Any, y: Any) -> Any:
        """Return the quotient."""
        return x / y


class FloorDiv(_Operator):
    """`x // y`."""

    def run(self, x: Any, y: Any) -> Any:
        """Return the floored quotient."""
        return x // y


class Mod(_Operator):
    """`x % y`."""

    def run(self, x: Any, y: Any) -> Any:
        """Return the remainder."""
        return x % y


class Pow(_Operator):
    """`x**y`."""

    def run(self, x: Any, y: Any) -> Any:
        """Return the power."""
        return x**y


class And(_Operator):
    """`bool(x and y)`."""

    def run(self, x: Any, y: Any) -> bool:
        """Return whether both are true."""
        return bool(x and y)


class Or(_Operator):
    """`bool(x or y)`."""

    def run(self, x: Any, y: Any) -> bool:
        """Return whether one is true."""
        return bool(x or y)


class Equal(_Operator):
    """`bool(x == y)`."""

    def run(self, x: Any, y: Any) -> bool:
        """Return whether both are equal."""
        return bool(x == y)


class NotEqual(_Operator):
    """`bool(x != y)`."""

    def run(self, x: Any, y: Any) -> bool:
        """Return whether both differ."""
        return bool(x != y)


class GreaterThan(_Operator):
    """`bool(x > y)`."""

    def run(self, x: Any, y: Any) -> bool:
        """Return whether x is greater."""
        return bool(x > y)


class GreaterThanOrEqual(_Operator):
    """`bool(x >= y)`."""

    def run(self, x: Any, y: Any) -> bool:
        """Return whether x is greater or equal."""
        return bool(x >= y)


class LessThan(_Operator):
    """`bool(x < y)`."""

    def run(self, x: Any, y: Any) -> bool:
        """Return whether x is less."""
        return bool(x < y)


class LessThanOrEqual(_Operator):
    """`bool(x <= y)`."""

    def run(self, x: Any, y: Any) -> bool:
        """Return whether x is less or equal."""
        return bool(x <= y)


class Not(_Operator):
    """`not x`."""

    def run(self, x: Any) -> bool:
        """Return the negated truth."""
        return not x


class GetItem(_Operator):
    """`task_result[key]`."""

    is_implicit = True

    def run(self, task_result: Any, key: Any) -> Any:
        """Return the item under the key."""
        return task_result[key]
