"""What the `run` of a task may look like, and what it takes."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, get_type_hints
from weakref import WeakKeyDictionary

RESERVED_ARGUMENTS = frozenset({"upstream_tasks", "mapped", "task_args", "flow"})


@dataclass(frozen=True, slots=True)
class RunSignature:
    """The signature of a `run` without `self`, and the name of its `**` argument if it has one."""

    signature: inspect.Signature
    names: frozenset[str]
    var_keyword: str | None

    def bind(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
        """Name the arguments that were given; those under `**` each under their own name.

        Raises:
            TypeError: an argument is missing, unknown or surplus.
        """
        arguments = dict(self.signature.bind(*args, **kwargs).arguments)
        if self.var_keyword is not None:
            arguments.update(arguments.pop(self.var_keyword, {}))
        return arguments

    def accepts(self, key: str) -> bool:
        """Whether an argument may be given by the name `key`."""
        return self.var_keyword is not None or key in self.names


# By function, and by whether it is bound (then its first argument is taken).
_known: WeakKeyDictionary[Any, dict[bool, RunSignature]] = WeakKeyDictionary()


def run_signature(run: Callable[..., Any]) -> RunSignature:
    """Give the signature of a `run` as it is called, looking through `functools.wraps` wrappers."""
    function = getattr(run, "__func__", run)
    bound = function is not run
    try:
        by_binding = _known.setdefault(function, {})
    except TypeError:  # a callable object that cannot be hashed or weakly referenced
        by_binding = {}
    if bound not in by_binding:
        by_binding[bound] = _read(run)
    return by_binding[bound]


def _read(run: Callable[..., Any]) -> RunSignature:
    signature = inspect.signature(run)
    parameters = signature.parameters.values()
    return RunSignature(
        signature,
        frozenset(p.name for p in parameters if p.kind in {p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY}),
        next((p.name for p in parameters if p.kind is p.VAR_KEYWORD), None),
    )


def check_run_signature(run: Callable[..., Any]) -> None:
    """Refuse a function that cannot be the `run` of a task.

    Raises:
        ValueError: it takes `*args`, or an argument with a name that flowkiln uses itself.
    """
    name = getattr(run, "__qualname__", repr(run))
    try:
        parameters = inspect.signature(run).parameters.values()
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} cannot become a task: Python knows no signature for it ({error}).") from error
    for parameter in parameters:
        if parameter.kind is parameter.VAR_POSITIONAL:
            raise ValueError(
                f"{name} cannot become a task: `*{parameter.name}` has no names to bind results to; "
                "use named arguments or `**kwargs`."
            )
        if parameter.name in RESERVED_ARGUMENTS:
            raise ValueError(
                f"{name} cannot become a task: an argument named {parameter.name!r} would be hidden by "
                "the argument of that name of Task.bind; rename it."
            )


def described_inputs(run: Callable[..., Any]) -> dict[str, dict[str, Any]]:
    """Describe the named arguments of `run`: type (or Any), whether it is required, default (or None)."""
    hints = _resolved_hints(run)
    return {
        p.name: {
            "type": Any if p.annotation is p.empty else hints.get(p.name, p.annotation),
            "required": p.default is p.empty,
            "default": None if p.default is p.empty else p.default,
        }
        for p in run_signature(run).signature.parameters.values()
        if p.kind is not p.VAR_KEYWORD
    }


def described_output(run: Callable[..., Any]) -> Any:
    """Give the annotated return type of `run`, else Any."""
    annotation = run_signature(run).signature.return_annotation
    if annotation is inspect.Signature.empty:
        return Any
    return _resolved_hints(run).get("return", annotation) if isinstance(annotation, str) else annotation


def _resolved_hints(run: Callable[..., Any]) -> dict[str, Any]:
    try:
        return get_type_hints(run)
    except (NameError, TypeError, AttributeError):  # a name that exists only for type checkers, or no function at all
        return {}
