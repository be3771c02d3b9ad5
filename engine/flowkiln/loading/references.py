"""Resolve `module:attribute` references of a spec."""

from __future__ import annotations

import difflib
from typing import Any

from flowkiln.common.exceptions import FlowLoadError
from flowkiln.loading import importing


def resolve(reference: str, owner: str) -> Any:
    """Import the module and return the attribute, which may be dotted.

    `owner` names the requester in errors, for example "task 'extract'". Raise FlowLoadError if the module cannot be
    imported or has no such attribute.
    """
    module_name, _, path = reference.partition(":")
    found: Any = import_module(module_name, owner)
    walked = f"module {module_name!r}"
    for name in path.split("."):
        try:
            found = getattr(found, name)
        except AttributeError:
            raise FlowLoadError(f"{owner}: {walked} has no {name!r}{_suggestion(found, name)}") from None
        walked = f"{reference.removesuffix(path)}{name}"
    return found


def resolve_callable(reference: str, owner: str) -> Any:
    """Return the result of `resolve`; raise FlowLoadError if it is not callable."""
    found = resolve(reference, owner)
    if not callable(found):
        raise FlowLoadError(f"{owner}: {reference!r} is {type(found).__name__}, not a callable; name a function")
    return found


def import_module(name: str, owner: str) -> Any:
    """Import a module; raise a FlowLoadError that says whether it is missing or raised an error."""
    try:
        return importing.import_module(name, f"{owner}: importing module {name!r}")
    except ModuleNotFoundError as error:
        if error.name is not None and (name == error.name or name.startswith(f"{error.name}.")):
            raise FlowLoadError(
                f"{owner}: there is no module {name!r}; put {name.replace('.', '/')}.py into spec.source.files, "
                "or install it where the flow runs"
            ) from None  # the traceback has only frames of Python's own import
        raise FlowLoadError(
            f"{owner}: module {name!r} imports {error.name!r}, which is not installed where the flow runs"
        ) from error


def _suggestion(holder: Any, name: str) -> str:
    close = difflib.get_close_matches(name, dir(holder), n=1)
    return f"; did you mean {close[0]!r}?" if close else ""
