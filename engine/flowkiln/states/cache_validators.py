"""Decide whether a Cached state may be used: `fn(state, inputs, parameters) -> bool`.

Inputs and cached inputs are dicts of argument name to value or `Result`. Values are compared by their digests (see
`flowkiln.states.digests`): by type and content, NaN and missing values included. Values without digest are never equal.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from flowkiln.states.cache_record import CacheRecord, Digested, all_digested, digested, plain_values
from flowkiln.states.state import Cached, utc_now

Validator = Callable[[Any, Any, Any], bool]


def never_use(state: Cached | None, inputs: Any, parameters: Any) -> bool:
    """Return False: the task runs."""
    return False


def duration_only(state: Cached, inputs: Any, parameters: Any) -> bool:
    """Return whether the state has not expired."""
    return state.cached_result_expiration is None or state.cached_result_expiration > utc_now()


def all_inputs(state: Cached, inputs: Any, parameters: Any) -> bool:
    """Return whether the state has not expired and all inputs are the same."""
    return duration_only(state, inputs, parameters) and _same_inputs(state, inputs, None)


def all_parameters(state: Cached, inputs: Any, parameters: Any) -> bool:
    """Return whether the state has not expired and all parameters of the flow are the same."""
    return duration_only(state, inputs, parameters) and _same_parameters(state, parameters, None)


def partial_inputs_only(
    state: Cached | None = None, inputs: Any = None, parameters: Any = None, validate_on: Iterable[str] | None = None
) -> Any:
    """Return whether the state is valid and the inputs in `validate_on` are equal; without a state, a validator."""
    if state is None:
        return _Curried(partial_inputs_only, _names(validate_on))
    return duration_only(state, inputs, parameters) and _same_inputs(state, inputs, _names(validate_on))


def partial_parameters_only(
    state: Cached | None = None, inputs: Any = None, parameters: Any = None, validate_on: Iterable[str] | None = None
) -> Any:
    """Return whether the state is valid and the parameters in `validate_on` are equal; without a state, a validator."""
    if state is None:
        return _Curried(partial_parameters_only, _names(validate_on))
    return duration_only(state, inputs, parameters) and _same_parameters(state, parameters, _names(validate_on))


@dataclass(frozen=True, slots=True)
class _Curried:
    """A partial validator with its names."""

    validator: Callable[..., Any]
    validate_on: tuple[str, ...]

    @property
    def __name__(self) -> str:
        return self.validator.__name__

    def __call__(self, state: Cached, inputs: Any, parameters: Any) -> bool:
        return bool(self.validator(state, inputs, parameters, validate_on=self.validate_on))


def record(validator: Validator, inputs: Mapping[str, Any], parameters: Mapping[str, Any] | None) -> CacheRecord:
    """Return the digests that a validator of this module compares, for the Cached state of a task run.

    The digests are taken before the body, which may change its inputs in place.
    """
    if validator is all_inputs:
        return CacheRecord(inputs=all_digested(inputs))
    if validator is all_parameters:
        return CacheRecord(parameters=all_digested(parameters))
    if not isinstance(validator, _Curried):
        return CacheRecord()
    if validator.validator is partial_inputs_only:
        return CacheRecord(inputs=all_digested(inputs, validator.validate_on))
    return CacheRecord(parameters=all_digested(parameters, validator.validate_on))


def _names(validate_on: Iterable[str] | None) -> tuple[str, ...]:
    if isinstance(validate_on, str):
        raise TypeError(f"validate_on must be a list of names, not a str; write [{validate_on!r}].")
    return tuple(validate_on or ())


def _same_inputs(state: Cached, inputs: Any, names: Collection[str] | None) -> bool:
    return _same(state.cached_inputs, state._record.inputs, inputs, names)


def _same_parameters(state: Cached, parameters: Any, names: Collection[str] | None) -> bool:
    return _same(state.cached_parameters, state._record.parameters, parameters, names)


def _same(
    cached: Mapping[str, Any] | None,
    recorded: Mapping[str, Digested],
    given: Mapping[str, Any] | None,
    names: Collection[str] | None,
) -> bool:
    before, now = (
        {k: v for k, v in plain_values(one).items() if names is None or k in names} for one in (cached, given)
    )
    return before.keys() == now.keys() and all(
        digested(now[name]).is_same(_before(value, recorded.get(name))) for name, value in before.items()
    )


def _before(value: Any, recorded: Digested | None) -> Digested:
    """Return the recorded digest, unless the state got another value since."""
    return recorded if recorded is not None and recorded.value is value else digested(value)
