"""Pickle functions by value with the file name and source lines that tracebacks need.

cloudpickle sends functions of a script or under a decorator as code. From 3.1.3 on it replaces their file name by a
placeholder, and their lines are only available where the file exists.
"""

from __future__ import annotations

import io
import linecache
import os
from collections.abc import Callable, Sequence
from types import CodeType
from typing import Any

import cloudpickle


def dumps(value: Any) -> bytes:
    """Pickle as cloudpickle does, with file name and lines of functions that are pickled by value."""
    with io.BytesIO() as file:
        _Pickler(file).dump(value)
        return file.getvalue()


class _Pickler(cloudpickle.Pickler):  # type: ignore[misc]
    def reducer_override(self, value: Any) -> Any:
        if isinstance(value, CodeType):
            make, arguments = self.dispatch_table[CodeType](value)
            return _code, (make, arguments, value.co_filename, value.co_firstlineno, _lines_of(value))
        return super().reducer_override(value)


def _lines_of(code: CodeType) -> list[str]:
    numbers = [line for _, _, line in code.co_lines() if line is not None]
    if not numbers:
        return []
    return linecache.getlines(code.co_filename)[code.co_firstlineno - 1 : max(numbers)]


def _code(
    make: Callable[..., CodeType], arguments: tuple[Any, ...], filename: str, first: int, lines: Sequence[str]
) -> CodeType:
    """Rebuild a code object in the receiving process."""
    if lines and not os.path.exists(filename):
        known = linecache.getlines(filename)
        known.extend([""] * (first - 1 + len(lines) - len(known)))
        known[first - 1 : first - 1 + len(lines)] = lines
        # linecache does not check an entry without a modification time.
        linecache.cache[filename] = (sum(map(len, known)), None, known, filename)
    return make(*arguments).replace(co_filename=filename)
