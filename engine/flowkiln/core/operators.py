"""Python's operators on tasks: each adds an operator task to the active flow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, TypeVar

from flowkiln.common.context import context
from flowkiln.core.active import active_flow

if TYPE_CHECKING:

    class FitsAnywhere(Any):  # type: ignore[misc]
        """For type checkers: a task represents its result, so it is accepted for any type."""
else:

    class FitsAnywhere:
        """A result whose type is unknown while the flow is built."""


TaskType = TypeVar("TaskType")
"""The class of the tasks that the operators make."""


class TaskOperators(FitsAnywhere, Generic[TaskType]):
    """The operators of a Task. `==` and `!=` stay identity; tasks cannot be iterated although they can be indexed.

    Inside a `with Flow` block a task has no truth value, because its result is not known yet. The task of an operator,
    such as `a > 1`, never has one.
    """

    __iter__ = None

    is_operator = False
    """Whether tasks of the class are the operators themselves."""

    def __bool__(self) -> bool:
        if context.get("flow") is None and not self.is_operator:
            return True
        raise TypeError(
            f"{self} has no truth value while the flow is built: its result is known only when the flow runs. "
            "For `if`, write `with case(task, True):` or `ifelse(task, yes, no)`; for `not`, `task.not_()`; "
            "for `and`, `a & b`. To ask whether there is a task, write `task is not None`."
        )

    def __contains__(self, item: object) -> bool:
        raise TypeError(
            f"Whether something is in the result of {self} is known only when the flow runs; "
            "make a task of a function that looks, and branch with `case` or `ifelse`."
        )

    def is_equal(self, other: object) -> TaskType:
        """Make a task whose result is whether this result equals that of `other`."""
        return self._bind_operator("Equal", self, other)

    def is_not_equal(self, other: object) -> TaskType:
        """Make a task whose result is whether this result differs from that of `other`."""
        return self._bind_operator("NotEqual", self, other)

    def not_(self) -> TaskType:
        """Make a task whose result is the negated truth of this one's."""
        return self._bind_operator("Not", self)

    def __getitem__(self, key: Any) -> TaskType:
        return self._bind_operator("GetItem", self, key)

    def __or__(self, other: object) -> TaskType:
        return self._add_order(self, other)

    def __ror__(self, other: object) -> TaskType:
        return self._add_order(other, self)

    def __add__(self, other: object) -> TaskType:
        return self._bind_operator("Add", self, other)

    def __radd__(self, other: object) -> TaskType:
        return self._bind_operator("Add", other, self)

    def __sub__(self, other: object) -> TaskType:
        return self._bind_operator("Sub", self, other)

    def __rsub__(self, other: object) -> TaskType:
        return self._bind_operator("Sub", other, self)

    def __mul__(self, other: object) -> TaskType:
        return self._bind_operator("Mul", self, other)

    def __rmul__(self, other: object) -> TaskType:
        return self._bind_operator("Mul", other, self)

    def __truediv__(self, other: object) -> TaskType:
        return self._bind_operator("Div", self, other)

    def __rtruediv__(self, other: object) -> TaskType:
        return self._bind_operator("Div", other, self)

    def __floordiv__(self, other: object) -> TaskType:
        return self._bind_operator("FloorDiv", self, other)

    def __rfloordiv__(self, other: object) -> TaskType:
        return self._bind_operator("FloorDiv", other, self)

    def __mod__(self, other: object) -> TaskType:
        return self._bind_operator("Mod", self, other)

    def __rmod__(self, other: object) -> TaskType:
        return self._bind_operator("Mod", other, self)

    def __pow__(self, other: object) -> TaskType:
        return self._bind_operator("Pow", self, other)

    def __rpow__(self, other: object) -> TaskType:
        return self._bind_operator("Pow", other, self)

    def __and__(self, other: object) -> TaskType:
        return self._bind_operator("And", self, other)

    def __rand__(self, other: object) -> TaskType:
        return self._bind_operator("And", other, self)

    def __gt__(self, other: object) -> TaskType:
        return self._bind_operator("GreaterThan", self, other)

    def __ge__(self, other: object) -> TaskType:
        return self._bind_operator("GreaterThanOrEqual", self, other)

    def __lt__(self, other: object) -> TaskType:
        return self._bind_operator("LessThan", self, other)

    def __le__(self, other: object) -> TaskType:
        return self._bind_operator("LessThanOrEqual", self, other)

    def _bind_operator(self, name: str, *operands: object) -> TaskType:
        complaint = f"Could not infer an active Flow context for <Task: {name}>; use `with Flow(...)`."
        made: TaskType = active_flow(None, complaint)._bind_operator(name, *operands)
        return made

    def _add_order(self, upstream: object, downstream: object) -> TaskType:
        complaint = "No Flow was passed, and none is active; use `with Flow(...)`."
        waiting: TaskType = active_flow(None, complaint)._add_order(upstream, downstream)
        return waiting
