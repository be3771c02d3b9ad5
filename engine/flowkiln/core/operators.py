"""Python's operators on tasks: each adds an operator task to the active flow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from flowkiln.core.task import Task

    class FitsAnywhere(Any):  # type: ignore[misc]
        """For type checkers: a task stands for its result, so it may be given where any type is wanted."""
else:

    class FitsAnywhere:
        """Stands for a result whose type is not known while the flow is built."""


def _operate(name: str, *operands: Any) -> Task:
    from flowkiln.tasks.core import operators

    operator: Task = getattr(operators, name)()
    return operator.bind(*operands)


class TaskOperators(FitsAnywhere):
    """The operators of a Task. `==` and `!=` stay identity; iteration is refused although tasks can be indexed.

    Inside a `with Flow` block a task has no truth value, for its result is not known yet; the task of an operator, such
    as `a > 1`, never has one.
    """

    __iter__ = None

    def __bool__(self) -> bool:
        from flowkiln.common.context import context

        if context.get("flow") is None and type(self).__module__ != "flowkiln.tasks.core.operators":
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

    def is_equal(self, other: object) -> Task:
        """Make a task whose result is whether this result equals that of `other`."""
        return _operate("Equal", self, other)

    def is_not_equal(self, other: object) -> Task:
        """Make a task whose result is whether this result differs from that of `other`."""
        return _operate("NotEqual", self, other)

    def not_(self) -> Task:
        """Make a task whose result is the negated truth of this one's."""
        return _operate("Not", self)

    def __getitem__(self, key: Any) -> Task:
        return _operate("GetItem", self, key)

    def __or__(self, other: object) -> Task:
        return _state_edge(self, other)[1]

    def __ror__(self, other: object) -> Task:
        return _state_edge(other, self)[1]

    def __add__(self, other: object) -> Task:
        return _operate("Add", self, other)

    def __radd__(self, other: object) -> Task:
        return _operate("Add", other, self)

    def __sub__(self, other: object) -> Task:
        return _operate("Sub", self, other)

    def __rsub__(self, other: object) -> Task:
        return _operate("Sub", other, self)

    def __mul__(self, other: object) -> Task:
        return _operate("Mul", self, other)

    def __rmul__(self, other: object) -> Task:
        return _operate("Mul", other, self)

    def __truediv__(self, other: object) -> Task:
        return _operate("Div", self, other)

    def __rtruediv__(self, other: object) -> Task:
        return _operate("Div", other, self)

    def __floordiv__(self, other: object) -> Task:
        return _operate("FloorDiv", self, other)

    def __rfloordiv__(self, other: object) -> Task:
        return _operate("FloorDiv", other, self)

    def __mod__(self, other: object) -> Task:
        return _operate("Mod", self, other)

    def __rmod__(self, other: object) -> Task:
        return _operate("Mod", other, self)

    def __pow__(self, other: object) -> Task:
        return _operate("Pow", self, other)

    def __rpow__(self, other: object) -> Task:
        return _operate("Pow", other, self)

    def __and__(self, other: object) -> Task:
        return _operate("And", self, other)

    def __rand__(self, other: object) -> Task:
        return _operate("And", other, self)

    def __gt__(self, other: object) -> Task:
        return _operate("GreaterThan", self, other)

    def __ge__(self, other: object) -> Task:
        return _operate("GreaterThanOrEqual", self, other)

    def __lt__(self, other: object) -> Task:
        return _operate("LessThan", self, other)

    def __le__(self, other: object) -> Task:
        return _operate("LessThanOrEqual", self, other)


def _state_edge(upstream: object, downstream: object) -> tuple[Task, Task]:
    from flowkiln.core.active import active_flow
    from flowkiln.utilities.tasks import as_task

    flow = active_flow(None, "No Flow was passed, and none is active; use `with Flow(...)`.")
    ends = as_task(upstream, flow), as_task(downstream, flow)
    flow.add_edge(*ends, validate=True)
    return ends
