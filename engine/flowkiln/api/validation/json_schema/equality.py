"""Equality of JSON values: 1 and 1.0 are one number, true and 1 are not."""

from __future__ import annotations

import json

from pydantic import JsonValue

from flowkiln.api.validation.json_schema.steps import Steps

_CHARACTERS_PER_STEP = 256


def are_equal(one: JsonValue, other: JsonValue, steps: Steps) -> bool:
    """Return whether two values are equal. Takes steps for what they have in common."""
    steps.take(2)
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(
            are_equal(mine, theirs, steps) for mine, theirs in zip(one, other, strict=True)
        )
    if isinstance(one, dict) and isinstance(other, dict):
        return len(one) == len(other) and all(
            key in other and are_equal(value, other[key], steps) for key, value in one.items()
        )
    if isinstance(one, str):
        steps.take(len(one) // _CHARACTERS_PER_STEP)
    return one == other


def first_repeated(items: list[JsonValue], steps: Steps) -> tuple[int, int] | None:
    """Return the indexes of the first item that is equal to an earlier one, the earlier one's first."""
    seen: dict[str, int] = {}
    for index, item in enumerate(items):
        steps.take(4)
        # Texts, not tuples: nobody can foresee their hashes, and so write many that collide.
        first = seen.setdefault(json.dumps(_canonical(item, steps), sort_keys=True), index)
        if first != index:
            return first, index
    return None


def _canonical(value: JsonValue, steps: Steps) -> JsonValue:
    """Return what is equal for equal values; whole numbers are ints."""
    match value:
        case float() if value.is_integer():
            steps.take(4)
            return int(value)
        case list():
            steps.take(4 + len(value))
            return [_canonical(item, steps) for item in value]
        case dict():
            steps.take(4 + 2 * len(value))
            return {key: _canonical(item, steps) for key, item in value.items()}
        case str():
            steps.take(4 + len(value) // _CHARACTERS_PER_STEP)
            return value
        case _:
            steps.take(4)
            return value
