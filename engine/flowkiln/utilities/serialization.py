"""Qualified names of objects in modules."""

from __future__ import annotations

import sys
from typing import Any


def to_qualified_name(obj: Any) -> str:
    """Return the dotted name of a class or function: its module and its qualified name."""
    return f"{obj.__module__}.{obj.__qualname__}"


def from_qualified_name(name: str) -> Any:
    """Return an object by its dotted name from an imported module; the longest module name wins.

    Raises:
        ValueError: no imported module has such an object.
    """
    parts = name.split(".")
    for length in range(len(parts), 0, -1):
        module = sys.modules.get(".".join(parts[:length]))
        if module is None:
            continue
        found: Any = module
        try:
            for part in parts[length:]:
                found = getattr(found, part)
        except AttributeError:
            break
        return found
    raise ValueError(f"{name!r} names nothing in the modules that are imported; import its module first.")
