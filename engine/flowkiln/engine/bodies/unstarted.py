"""Return values that show that the body of a task has not run: coroutines, and generators of the body itself."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Coroutine
from types import AsyncGeneratorType, GeneratorType
from typing import Any

_WORK_WITHOUT_AWAIT = ("distributed", "dask", "dask_kubernetes")
"""Packages whose clients, clusters and futures can be awaited and need not be."""


def unstarted(run: Callable[..., Any], value: Any) -> str | None:
    """Say what was returned instead of a value, and what to write; None if `value` is one.

    A generator that was made elsewhere is a value like others. Coroutines are closed, so that Python does not warn.
    """
    kind = type(value)
    if hasattr(kind, "__await__"):
        if any(base.__module__.partition(".")[0] in _WORK_WITHOUT_AWAIT for base in kind.__mro__):
            return None
        if isinstance(value, Coroutine):
            value.close()
        return (
            f"The body returned an object of type {kind.__name__} that nobody awaited. Await it in an `async` "
            "function, run that with `asyncio.run(...)` in the body, and return what it gives."
        )
    if kind is GeneratorType:
        code = value.gi_code
    elif kind is AsyncGeneratorType:
        code = value.ag_code
    else:
        return None
    if code is getattr(inspect.unwrap(run), "__code__", None):
        return "The body is a generator function (it has a `yield`) and has not run. Return a list instead."
    return None
