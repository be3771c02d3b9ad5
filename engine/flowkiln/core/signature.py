"""Signatures of the `run` of tasks."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, get_type_hints
from weakref import WeakKeyDictionary

from flowkiln.common.names import RESERVED_ARGUMENTS

_CACHED = type(functools.cache(lambda: None))


@dataclass(frozen=True, slots=True)
class RunSignature:
    """The signature of a `run` without `self`, and the name of its `**` argument if it has one.

    `impossible` are names that cannot be passed by keyword: positional-only arguments, and the first argument of a
    method.
    """

    signature: inspect.Signature
    names: frozenset[str]
    var_keyword: str | None
    impossible: frozenset[str]

    def bind(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
        """Return the arguments by name; those of `**` under their own names.

        Raises:
            TypeError: an argument is missing, unknown or surplus.
        """
        arguments = dict(self.signature.bind(*args, **kwargs).arguments)
        if self.var_keyword is not None:
            arguments.update(arguments.pop(self.var_keyword, {}))
        if not self.impossible.isdisjoint(arguments):
            name = next(name for name in arguments if name in self.impossible)
            raise TypeError(
                f"nothing can be given by the name {name!r}; make a task of a function that takes it by another one"
            )
        return arguments

    def accepts(self, key: str) -> bool:
        """Return whether an argument may be passed by the name `key`."""
        return key in self.names or (self.var_keyword is not None and key not in self.impossible)


# By function, and by whether it is bound (its first argument is then set).
_known: WeakKeyDictionary[Any, dict[bool, RunSignature]] = WeakKeyDictionary()


def run_signature(run: Callable[..., Any]) -> RunSignature:
    """Return the signature of a `run` as called, looking through `functools.wraps` wrappers."""
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
        frozenset(p.name for p in parameters if p.kind is p.POSITIONAL_ONLY) | _own_argument(run),
    )


def _own_argument(run: Callable[..., Any]) -> frozenset[str]:
    """Return the name of a bound method's first argument, unless it is positional-only."""
    function = getattr(run, "__func__", run)
    first = next(iter(inspect.signature(function).parameters.values()), None)
    if function is run or first is None or first.kind is not first.POSITIONAL_OR_KEYWORD:
        return frozenset()
    return frozenset({first.name})


def check_run_signature(run: Callable[..., Any], *, is_method: bool = False) -> None:
    """Raise an error for a function that cannot be the `run` of a task; a method still has its first argument.

    Raises:
        ValueError: it takes `*args`, a positional-only argument, or an argument with a reserved name; or it is
            asynchronous or a generator function.
    """
    name = getattr(run, "__qualname__", repr(run))
    try:
        parameters = list(inspect.signature(run).parameters.values())
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} cannot become a task: Python knows no signature for it ({error}).") from error
    called = _called(run)
    if any(map(inspect.isgeneratorfunction, called)):
        raise ValueError(
            f"{name} cannot become a task: it is a generator function (it has a `yield`), and nothing would run its "
            "body; return a list, or make a task of a function that returns `list(...)` of it."
        )
    if any(inspect.iscoroutinefunction(each) or inspect.isasyncgenfunction(each) for each in called):
        raise ValueError(
            f"{name} cannot become a task: it is `async`, and nothing would await it; "
            "make a task of a plain function that runs it with `asyncio.run`."
        )
    for position, parameter in enumerate(parameters):
        is_own = is_method and position == 0
        if parameter.kind is parameter.POSITIONAL_ONLY and parameter.default is parameter.empty and not is_own:
            raise ValueError(
                f"{name} cannot become a task: its argument {parameter.name!r} can be given by position only, and "
                "tasks get their arguments by name; make a task of a function of your own that calls it."
            )
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


def _called(run: Callable[..., Any]) -> list[Any]:
    """Return the functions that `run` certainly calls and whose value it returns, including `run` itself.

    User wrappers are not looked through: they may collect the elements of the wrapped function, or run it to its end.
    """
    called: list[Any] = [run]
    while not (inspect.isfunction(run) or inspect.ismethod(run) or inspect.isbuiltin(run) or isinstance(run, type)):
        if isinstance(run, functools.partial):
            run = run.func
        elif isinstance(run, _CACHED):
            run = run.__wrapped__
        else:
            called.append(getattr(run, "__call__", run))  # noqa: B004 (what is called, not whether)
            break
        called.append(run)
    return called


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
    """Return the annotated return type of `run`, else Any."""
    annotation = run_signature(run).signature.return_annotation
    if annotation is inspect.Signature.empty:
        return Any
    return _resolved_hints(run).get("return", annotation) if isinstance(annotation, str) else annotation


def _resolved_hints(run: Callable[..., Any]) -> dict[str, Any]:
    try:
        return get_type_hints(run)
    except (NameError, TypeError, AttributeError):  # a name that only type checkers know, or not a function
        return {}
