"""The types of JSON values, and how a value is shown in a message."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

TYPES = ("array", "boolean", "integer", "null", "number", "object", "string")


def is_number(value: Any) -> bool:
    """Return whether a value is a number; true and false are none."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def is_integer(value: Any) -> bool:
    """Return whether a value is a whole number, written with a fraction or not."""
    return is_number(value) and (isinstance(value, int) or value.is_integer())


def is_count(value: Any) -> bool:
    """Return whether a value is a whole number of 0 or more."""
    return is_integer(value) and value >= 0


def is_finite(value: Any) -> bool:
    """Return whether a value is a number that JSON can express."""
    return is_number(value) and (isinstance(value, int) or math.isfinite(value))


def shown(value: Any) -> str:
    """Return a value as messages quote it."""
    return repr(value)


IS_TYPE: Mapping[str, Callable[[Any], bool]] = MappingProxyType(
    {
        "array": lambda value: isinstance(value, list),
        "boolean": lambda value: isinstance(value, bool),
        "integer": is_integer,
        "null": lambda value: value is None,
        "number": is_number,
        "object": lambda value: isinstance(value, dict),
        "string": lambda value: isinstance(value, str),
    }
)
"""By the name of a type, whether a value is of it."""
