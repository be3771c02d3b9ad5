"""Which Cached states may be used."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from flowkiln.engine.cache_validators import (
    all_inputs,
    all_parameters,
    duration_only,
    never_use,
    partial_inputs_only,
    partial_parameters_only,
)
from flowkiln.engine.result import Result
from flowkiln.engine.state import Cached
from flowkiln.states.state import utc_now

LATER = utc_now() + dt.timedelta(hours=1)
EARLIER = utc_now() - dt.timedelta(hours=1)

BUILT_IN = [never_use, duration_only, all_inputs, all_parameters, partial_inputs_only, partial_parameters_only]


@pytest.mark.parametrize("validator", BUILT_IN)
def test_an_expired_state_is_never_valid(validator: Any) -> None:
    """Whatever else is the same."""
    assert validator(Cached(cached_result_expiration=EARLIER), {}, {}) is False


@pytest.mark.parametrize("validator", BUILT_IN[1:])
@pytest.mark.parametrize("expiration", [None, LATER])
def test_without_anything_to_compare_the_time_decides(validator: Any, expiration: Any) -> None:
    """No expiration means for ever; None and empty are the same."""
    assert validator(Cached(cached_result_expiration=expiration), None, None) is True
    assert validator(Cached(cached_result_expiration=expiration), {}, {}) is True


def test_never_use() -> None:
    """Also with None as arguments."""
    assert never_use(None, None, None) is False
    assert never_use(Cached(), {}, {}) is False


@pytest.mark.parametrize(
    ("cached", "given", "valid"),
    [
        ({"x": 1}, {"x": 1}, True),
        ({"x": 1}, {"x": 2}, False),
        ({"x": 1}, {"x": 1, "y": 2}, False),
        ({"x": 1, "y": 2}, {"x": 1}, False),
        (None, {"x": 1}, False),
        ({"x": 1}, None, False),
    ],
)
def test_all_inputs_and_all_parameters(cached: Any, given: Any, valid: bool) -> None:
    """Everything must be the same; an additional name makes it invalid."""
    wrapped = None if cached is None else {name: Result(value, "handler") for name, value in cached.items()}
    assert all_inputs(Cached(cached_inputs=wrapped), given, {"other": 1}) is valid
    assert all_parameters(Cached(cached_parameters=cached), {"other": 1}, given) is valid


@pytest.mark.parametrize(
    ("on", "cached", "given", "valid"),
    [
        (None, {"x": 1}, {"x": 2}, True),
        (["x"], {"x": 1, "y": 1}, {"x": 1, "y": 2}, True),
        (["x"], {"x": 1}, {"x": 2}, False),
        (["x"], {}, {"x": 1}, False),
        (["x"], {"x": 1}, None, False),
        (["x"], None, None, True),
        (["x", "y"], {"x": 1, "y": 2}, {"x": 1, "y": 3}, False),
    ],
)
def test_the_partial_validators(on: Any, cached: Any, given: Any, valid: bool) -> None:
    """Only the names in `validate_on` count; one that is present on one side only makes it invalid."""
    wrapped = None if cached is None else {name: Result(value) for name, value in cached.items()}
    assert partial_inputs_only(Cached(cached_inputs=wrapped), given, None, validate_on=on) is valid
    assert partial_inputs_only(validate_on=on)(Cached(cached_inputs=wrapped), given, None) is valid
    assert partial_parameters_only(Cached(cached_parameters=cached), None, given, validate_on=on) is valid
    assert partial_parameters_only(validate_on=on)(Cached(cached_parameters=cached), None, given) is valid
