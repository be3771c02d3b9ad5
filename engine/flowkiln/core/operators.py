"""Python's operators on tasks: each adds an operator task to the active flow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from flowkiln.core.task import Task


def _operate(name: str, *operands: Any) -> Task:
    from flowkiln.tasks.core import operators

    operator: Task = getattr(operators, name)()
    return operator.bind(*operands)


class TaskOperators:
    """The operators of a Task. `==` and `!=` stay identity; iteration is refused although tasks can be indexed."""

    __iter__ = None

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
