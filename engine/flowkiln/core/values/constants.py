"""A value as a task."""

from __future__ import annotations

from typing import Any

from flowkiln.core.task import Task

_MAX_NAME_LENGTH = 8


class Constant(Task):
    """A task whose result is `value`, named after it if that is short, else after its type."""

    is_implicit = True

    def __init__(self, value: Any, name: str | None = None, **kwargs: Any) -> None:
        self.value = value
        if name is None:
            text = repr(value)
            name = text if len(text) <= _MAX_NAME_LENGTH else f"Constant[{type(value).__name__}]"
        super().__init__(name=name, **kwargs)

    def run(self) -> Any:
        """Return the value."""
        return self.value
