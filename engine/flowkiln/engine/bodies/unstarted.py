"""Detect return values of bodies that have not run: coroutines, and generators of the body itself."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Coroutine
from types import AsyncGeneratorType, GeneratorType
from typing import Any

_WORK_WITHOUT_AWAIT = ("distributed", "dask", "dask_kubernetes")
"""Packages whose clients, clusters and futures are awaitable but need not be awaited."""


def unstarted(run: Callable[..., Any], value: Any) -> str | None:
    """Return an explanation and advice if `value` shows that the body has not run, else None.

    A generator that was created elsewhere is an ordinary value. Coroutines are closed, so Python does not warn.
    """
    kind = type(value)
    if hasattr(kind, "__await__"):
        if any(base.__module__.partition(".")[0] in _WORK_WITHOUT_AWAIT for base in kind.__mro__):
            return None
        if isinstance(value, Coroutine):
            value.close()
        return (
            f"The body returned an object of type {kind.__name__} that nobody awaited. Await it in an `async` "
            "function, run that with `asyncio.run(...)` in the body, and return its result."
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
