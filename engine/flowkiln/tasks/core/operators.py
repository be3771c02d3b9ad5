"""Operators as tasks; `flowkiln.core.operators` makes them of Python's operators."""

from __future__ import annotations

from typing import Any

from flowkiln.core.task import Task


class Add(Task):
    """`x + y`."""

    def run(self, x: Any, y: Any) -> Any:
        """Give the sum."""
        return x + y


class Sub(Task):
    """`x - y`."""

    def run(self, x: Any, y: Any) -> Any:
        """Give the difference."""
        return x - y


class Mul(Task):
    """`x * y`."""

    def run(self, x: Any, y: Any) -> Any:
        """Give the product."""
        return x * y


class Div(Task):
    """`x / y`."""

    def run(self, x: Any, y: Any) -> Any:
        """Give the quotient."""
        return x / y


class FloorDiv(Task):
    """`x // y`."""

    def run(self, x: Any, y: Any) -> Any:
        """Give the floored quotient."""
        return x // y


class Mod(Task):
    """`x % y`."""

    def run(self, x: Any, y: Any) -> Any:
        """Give the remainder."""
        return x % y


class Pow(Task):
    """`x**y`."""

    def run(self, x: Any, y: Any) -> Any:
        """Give the power."""
        return x**y


class And(Task):
    """`bool(x and y)`."""

    def run(self, x: Any, y: Any) -> bool:
        """Give whether both are true."""
        return bool(x and y)


class Or(Task):
    """`bool(x or y)`."""

    def run(self, x: Any, y: Any) -> bool:
        """Give whether one is true."""
        return bool(x or y)


class Equal(Task):
    """`bool(x == y)`."""

    def run(self, x: Any, y: Any) -> bool:
        """Give whether both are equal."""
        return bool(x == y)


class NotEqual(Task):
    """`bool(x != y)`."""

    def run(self, x: Any, y: Any) -> bool:
        """Give whether both differ."""
        return bool(x != y)


class GreaterThan(Task):
    """`bool(x > y)`."""

    def run(self, x: Any, y: Any) -> bool:
        """Give whether x is greater."""
        return bool(x > y)


class GreaterThanOrEqual(Task):
    """`bool(x >= y)`."""

    def run(self, x: Any, y: Any) -> bool:
        """Give whether x is greater or equal."""
        return bool(x >= y)


class LessThan(Task):
    """`bool(x < y)`."""

    def run(self, x: Any, y: Any) -> bool:
        """Give whether x is less."""
        return bool(x < y)


class LessThanOrEqual(Task):
    """`bool(x <= y)`."""

    def run(self, x: Any, y: Any) -> bool:
        """Give whether x is less or equal."""
        return bool(x <= y)


class Not(Task):
    """`not x`."""

    def run(self, x: Any) -> bool:
        """Give the negated truth."""
        return not x


class GetItem(Task):
    """`task_result[key]`."""

    is_implicit = True

    def run(self, task_result: Any, key: Any) -> Any:
        """Give the item under the key."""
        return task_result[key]
