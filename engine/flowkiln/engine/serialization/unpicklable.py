"""Find the part of an object that cannot be pickled, and describe it in terms of the user's code."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from types import CodeType, FunctionType, MethodType
from typing import Any

from flowkiln.common.pickling import dumps
from flowkiln.common.safe_text import safe_repr

_MAX_DEPTH = 20
_MAX_PARTS = 1000
"""Maximum depth, and maximum number of parts of one object, of the search."""


def is_picklable(value: Any) -> bool:
    """Return whether a value can be pickled."""
    try:
        dumps(value)
    except BaseException:
        return False
    return True


def unpicklable_part(value: Any) -> str | None:
    """Return the part of a value that cannot be pickled, with its type; None if it is the value itself."""
    steps: list[str] = []
    while len(steps) < _MAX_DEPTH:
        found = next((part for part in _parts(value) if not is_picklable(part[1])), None)
        if found is None:
            break
        steps.append(found[0])
        value = found[1]
    if not steps:
        return None
    return f"{' of '.join(reversed(steps))} is {type_of(value)}"


def type_of(value: Any) -> str:
    """Return the name of a value's type, with an article."""
    name = type(value).__qualname__
    return f"{'an' if name[:1].lower() in 'aeiou' else 'a'} {name}"


def _parts(value: Any) -> Iterator[tuple[str, Any]]:
    """Yield the pickled parts of a value with their descriptions, at most `_MAX_PARTS`."""
    for number, part in enumerate(_all_parts(value)):
        if number >= _MAX_PARTS:
            return
        yield part


def _all_parts(value: Any) -> Iterator[tuple[str, Any]]:
    match value:
        case FunctionType():
            yield from _parts_of_function(value)
        case MethodType():
            yield "the object", value.__self__
        case functools.partial():
            yield "the function", value.func
            yield from ((f"the argument {number}", one) for number, one in enumerate(value.args))
            yield from ((f"the argument {name!r}", one) for name, one in value.keywords.items())
        case dict():
            yield from ((f"the item {safe_repr(key, 40)}", one) for key, one in list(value.items()))
        case list() | tuple() | set() | frozenset():
            yield from ((f"the element {number}", one) for number, one in enumerate(value))
    yield from ((f"the attribute {name!r}", one) for name, one in _attributes(value))


def _parts_of_function(function: FunctionType) -> Iterator[tuple[str, Any]]:
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=False):
        try:
            yield f"the variable {name!r}", cell.cell_contents
        except ValueError:  # not set yet
            continue
    for name in _names_used(function.__code__):
        if name in function.__globals__:
            yield f"the global variable {name!r}", function.__globals__[name]
    defaults = function.__defaults__ or ()
    names = function.__code__.co_varnames[: function.__code__.co_argcount]
    yield from (
        (f"the default of {name!r}", one)
        for name, one in [*zip(names[len(names) - len(defaults) :], defaults, strict=True)]
    )
    yield from ((f"the default of {name!r}", one) for name, one in (function.__kwdefaults__ or {}).items())


def _names_used(code: CodeType) -> dict[str, None]:
    names = dict.fromkeys(code.co_names)
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            names.update(_names_used(constant))
    return names


def _attributes(value: Any) -> Iterator[tuple[str, Any]]:
    yield from list(getattr(value, "__dict__", {}).items())
    for kind in type(value).__mro__:
        slots = kind.__dict__.get("__slots__", ())
        for name in (slots,) if isinstance(slots, str) else slots:
            if not name.startswith("__") and hasattr(value, name):
                yield name, getattr(value, name)
