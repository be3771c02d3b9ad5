"""Decide whether a Cached state may be used: `fn(state, inputs, parameters) -> bool`.

Inputs and cached inputs are dicts of argument name to value or `Result`; values are what is compared.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from flowkiln.engine.result import Result, same_value
from flowkiln.engine.state import Cached, utc_now

Validator = Callable[[Any, Any, Any], bool]


def never_use(state: Cached | None, inputs: Any, parameters: Any) -> bool:
    """Never valid: the task runs."""
    return False


def duration_only(state: Cached, inputs: Any, parameters: Any) -> bool:
    """Valid until the state expires."""
    return state.cached_result_expiration is None or state.cached_result_expiration > utc_now()


def all_inputs(state: Cached, inputs: Any, parameters: Any) -> bool:
    """Valid until it expires, if all inputs are the same."""
    return duration_only(state, inputs, parameters) and _same(_values(state.cached_inputs), _values(inputs))


def all_parameters(state: Cached, inputs: Any, parameters: Any) -> bool:
    """Valid until it expires, if all parameters of the flow are the same."""
    return duration_only(state, inputs, parameters) and _same(_values(state.cached_parameters), _values(parameters))


def partial_inputs_only(
    state: Cached | None = None, inputs: Any = None, parameters: Any = None, validate_on: Iterable[str] | None = None
) -> Any:
    """Valid until it expires, if the inputs named in `validate_on` are the same. Without a state: a validator."""
    if state is None:
        return _curried(partial_inputs_only, validate_on)
    return duration_only(state, inputs, parameters) and _same_on(validate_on, state.cached_inputs, inputs)


def partial_parameters_only(
    state: Cached | None = None, inputs: Any = None, parameters: Any = None, validate_on: Iterable[str] | None = None
) -> Any:
    """Valid until it expires, if the parameters named in `validate_on` are the same. Without a state: a validator."""
    if state is None:
        return _curried(partial_parameters_only, validate_on)
    return duration_only(state, inputs, parameters) and _same_on(validate_on, state.cached_parameters, parameters)


def _curried(validator: Callable[..., Any], validate_on: Iterable[str] | None) -> Validator:
    names = _names(validate_on)

    def validate(state: Cached, inputs: Any, parameters: Any) -> bool:
        return bool(validator(state, inputs, parameters, validate_on=names))

    validate.__name__ = validator.__name__
    return validate


def _names(validate_on: Iterable[str] | None) -> tuple[str, ...]:
    if isinstance(validate_on, str):
        raise TypeError(f"validate_on must be a list of names, not a str; write [{validate_on!r}].")
    return tuple(validate_on or ())


def _values(mapping: Mapping[str, Any] | None) -> dict[str, Any]:
    return {k: v.value if isinstance(v, Result) else v for k, v in (mapping or {}).items()}


def _same_on(names: Iterable[str] | None, cached: Mapping[str, Any] | None, given: Mapping[str, Any] | None) -> bool:
    wanted = frozenset(_names(names))
    before, now = ({k: v for k, v in _values(one).items() if k in wanted} for one in (cached, given))
    return _same(before, now)


def _same(before: Mapping[str, Any], now: Mapping[str, Any]) -> bool:
    return before.keys() == now.keys() and all(same_value(before[name], now[name]) for name in before)
