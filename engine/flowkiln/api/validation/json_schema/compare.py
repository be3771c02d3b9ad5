"""Comparing a value with a schema, step by step."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from types import MappingProxyType
from typing import Any, NamedTuple, TypeAlias

from pydantic import JsonValue

from flowkiln.api.validation.json_schema.equality import are_equal, first_repeated
from flowkiln.api.validation.json_schema.fault import Fault, Place, depth, fault_at
from flowkiln.api.validation.json_schema.formats import has_format
from flowkiln.api.validation.json_schema.read import Part, Schema
from flowkiln.api.validation.json_schema.steps import Steps
from flowkiln.api.validation.json_schema.types import IS_TYPE, is_finite, shown


def compare(schema: Schema, value: JsonValue, steps: Steps) -> Fault | None:
    """Return why a value does not satisfy a schema; None if it does. Raise TooManyStepsError."""
    try:
        breach = _Comparison(schema, steps).check(schema.root, value, None)
    except RecursionError:
        return Fault("", "cannot be compared with its schema: it refers to itself without end, or is nested too deeply")
    return None if breach is None else fault_at(breach.place, breach.message())


class _Breach(NamedTuple):
    """A value that is not as it must be. The message is made for the one that is told: most are in vain."""

    place: Place
    value: Any
    problem: str
    wanted: Any = None

    def message(self) -> str:
        return self.problem.format(value=shown(self.value), wanted=shown(self.wanted))


@dataclass(frozen=True, slots=True)
class _Comparison:
    schema: Schema
    steps: Steps

    def check(self, part: Part, value: Any, place: Place) -> _Breach | None:
        """Compare a value with a schema, keyword by keyword; the first breach is given."""
        self.steps.take(2)
        if isinstance(part, bool):
            return None if part else _Breach(place, value, "{value} is not allowed here")
        self.steps.take(len(part))
        for keyword, argument in part.items():
            handler = _KEYWORDS.get(keyword)
            if handler is not None:
                self.steps.take(2)
                breach = handler(self, argument, part, value, place)
                if breach is not None:
                    return breach
        return None

    def first(self, checks: Iterable[tuple[Part, Any, Place]]) -> _Breach | None:
        """Return the first breach of several comparisons."""
        for part, value, place in checks:
            breach = self.check(part, value, place)
            if breach is not None:
                return breach
        return None

    def most_telling(self, breaches: Sequence[_Breach], place: Place, value: Any) -> _Breach:
        """Return the breach of the only alternative, or of the one that got farthest into the value; else tell of all.

        There is one for each alternative, of which the value fits none.
        """
        here = depth(place)
        self.steps.take(here)
        farthest = max(breaches, key=lambda breach: depth(breach.place))
        if len(breaches) == 1 or depth(farthest.place) > here:
            return farthest
        return _Breach(place, value, "{value} fits none of the schemas of which it must fit one")

    def matches(self, pattern: str, text: str) -> bool:
        """Return whether a regular expression of the schema matches a text."""
        return self.schema.patterns[pattern].matches(text, self.steps)


def _type(run: _Comparison, wanted: Any, part: Any, value: Any, place: Place) -> _Breach | None:
    if isinstance(wanted, str):
        if IS_TYPE[wanted](value):
            return None
        named = [wanted]
    else:
        run.steps.take(len(wanted))
        if any(IS_TYPE[name](value) for name in wanted):
            return None
        named = wanted
    return _Breach(place, value, "{value} is not of type " + ", ".join(f"'{name}'" for name in named))


def _enum(run: _Comparison, options: Any, part: Any, value: Any, place: Place) -> _Breach | None:
    if any(are_equal(option, value, run.steps) for option in options):
        return None
    return _Breach(place, value, "{value} is not one of {wanted}", options)


def _const(run: _Comparison, wanted: Any, part: Any, value: Any, place: Place) -> _Breach | None:
    return None if are_equal(wanted, value, run.steps) else _Breach(place, value, "{value} is not {wanted}", wanted)


def _bound(fails: Callable[[Any, Any], bool], problem: str) -> _Handler:
    def check(run: _Comparison, bound: Any, part: Any, value: Any, place: Place) -> _Breach | None:
        return _Breach(place, value, problem, bound) if is_finite(value) and fails(value, bound) else None

    return check


def _multiple_of(run: _Comparison, divisor: Any, part: Any, value: Any, place: Place) -> _Breach | None:
    if not is_finite(value):
        return None
    if isinstance(value, int) and isinstance(divisor, int):
        rest: int | Fraction = value % divisor
    else:
        run.steps.take(20)
        # By their decimal digits, as they are written: 0.3 is a multiple of 0.1.
        rest = Fraction(str(value)) % Fraction(str(divisor))
    return _Breach(place, value, "{value} is not a multiple of {wanted}", divisor) if rest else None


def _size(kind: type[list[Any] | dict[str, Any] | str], fails: Callable[[int, Any], bool], problem: str) -> _Handler:
    def check(run: _Comparison, bound: Any, part: Any, value: Any, place: Place) -> _Breach | None:
        return _Breach(place, value, problem, bound) if isinstance(value, kind) and fails(len(value), bound) else None

    return check


def _pattern(run: _Comparison, pattern: Any, part: Any, value: Any, place: Place) -> _Breach | None:
    if not isinstance(value, str) or run.matches(pattern, value):
        return None
    return _Breach(place, value, "{value} does not match {wanted}", pattern)


def _format(run: _Comparison, name: Any, part: Any, value: Any, place: Place) -> _Breach | None:
    run.steps.take(8)
    if not isinstance(value, str) or has_format(value, name):
        return None
    return _Breach(place, value, "{value} does not have the format {wanted}", name)


def _items(run: _Comparison, wanted: Any, part: Any, value: Any, place: Place) -> _Breach | None:
    if not isinstance(value, list):
        return None
    begin = len(part.get("prefixItems", ()))
    return run.first((wanted, value[index], (place, index)) for index in range(begin, len(value)))


def _prefix_items(run: _Comparison, parts: Any, part: Any, value: Any, place: Place) -> _Breach | None:
    if not isinstance(value, list):
        return None
    return run.first((inner, value[index], (place, index)) for index, inner in enumerate(parts[: len(value)]))


def _contains(run: _Comparison, wanted: Any, part: Any, value: Any, place: Place) -> _Breach | None:
    if not isinstance(value, list):
        return None
    least, most = part.get("minContains", 1), part.get("maxContains")
    found = sum(run.check(wanted, item, (place, index)) is None for index, item in enumerate(value))
    if found < least:
        return _Breach(place, value, "{value} has fewer than {wanted} of the items that it must contain", least)
    if most is not None and found > most:
        return _Breach(place, value, "{value} has more than {wanted} of the items that it may contain", most)
    return None


def _unique_items(run: _Comparison, wanted: Any, part: Any, value: Any, place: Place) -> _Breach | None:
    if not wanted or not isinstance(value, list) or (repeated := first_repeated(value, run.steps)) is None:
        return None
    return _Breach(place, value, f"items {repeated[0]} and {repeated[1]} are equal")


def _properties(run: _Comparison, parts: Any, part: Any, value: Any, place: Place) -> _Breach | None:
    if not isinstance(value, dict):
        return None
    run.steps.take(len(parts))
    return run.first((inner, value[name], (place, name)) for name, inner in parts.items() if name in value)


def _pattern_properties(run: _Comparison, parts: Any, part: Any, value: Any, place: Place) -> _Breach | None:
    if not isinstance(value, dict):
        return None
    return run.first(
        (inner, item, (place, name))
        for pattern, inner in parts.items()
        for name, item in value.items()
        if run.matches(pattern, name)
    )


def _additional_properties(run: _Comparison, wanted: Any, part: Any, value: Any, place: Place) -> _Breach | None:
    if not isinstance(value, dict):
        return None
    named, patterns = part.get("properties", {}), part.get("patternProperties", {})
    for name, item in value.items():
        run.steps.take(1)
        if name in named or any(run.matches(pattern, name) for pattern in patterns):
            continue
        if wanted is False:
            return _Breach(place, name, "{value} is not among the properties that the schema allows")
        if (breach := run.check(wanted, item, (place, name))) is not None:
            return breach
    return None


def _property_names(run: _Comparison, wanted: Any, part: Any, value: Any, place: Place) -> _Breach | None:
    return run.first((wanted, name, (place, name)) for name in value) if isinstance(value, dict) else None


def _required(run: _Comparison, names: Any, part: Any, value: Any, place: Place) -> _Breach | None:
    if not isinstance(value, dict):
        return None
    run.steps.take(len(names))
    return next((_Breach(place, name, "{value} is a required property") for name in names if name not in value), None)


def _dependent_required(run: _Comparison, dependents: Any, part: Any, value: Any, place: Place) -> _Breach | None:
    if not isinstance(value, dict):
        return None
    for name, needed in dependents.items():
        run.steps.take(1 + len(needed))
        if name in value:
            for other in needed:
                if other not in value:
                    return _Breach(place, other, "{value} is required beside {wanted}", name)
    return None


def _dependent_schemas(run: _Comparison, parts: Any, part: Any, value: Any, place: Place) -> _Breach | None:
    if not isinstance(value, dict):
        return None
    run.steps.take(len(parts))
    return run.first((inner, value, place) for name, inner in parts.items() if name in value)


def _all_of(run: _Comparison, parts: Any, part: Any, value: Any, place: Place) -> _Breach | None:
    return run.first((inner, value, place) for inner in parts)


def _any_of(run: _Comparison, parts: Any, part: Any, value: Any, place: Place) -> _Breach | None:
    breaches: list[_Breach] = []
    for inner in parts:
        if (breach := run.check(inner, value, place)) is None:
            return None
        breaches.append(breach)
    return run.most_telling(breaches, place, value)


def _one_of(run: _Comparison, parts: Any, part: Any, value: Any, place: Place) -> _Breach | None:
    breaches = [breach for inner in parts if (breach := run.check(inner, value, place)) is not None]
    if len(breaches) == len(parts):
        return run.most_telling(breaches, place, value)
    if len(breaches) < len(parts) - 1:
        return _Breach(place, value, "{value} fits more than one of the schemas of which it must fit exactly one")
    return None


def _not(run: _Comparison, refused: Any, part: Any, value: Any, place: Place) -> _Breach | None:
    if run.check(refused, value, place) is not None:
        return None
    return _Breach(place, value, "{value} fits the schema that it must not fit")


def _if(run: _Comparison, condition: Any, part: Any, value: Any, place: Place) -> _Breach | None:
    chosen = "then" if run.check(condition, value, place) is None else "else"
    return run.check(part[chosen], value, place) if chosen in part else None


def _reference(run: _Comparison, text: Any, part: Any, value: Any, place: Place) -> _Breach | None:
    return run.check(run.schema.targets[text], value, place)


_Handler: TypeAlias = Callable[[_Comparison, Any, Any, Any, Place], _Breach | None]

_KEYWORDS: Mapping[str, _Handler] = MappingProxyType(
    {
        "$ref": _reference,
        "$dynamicRef": _reference,
        "type": _type,
        "enum": _enum,
        "const": _const,
        "minimum": _bound(lambda value, bound: value < bound, "{value} is less than the minimum of {wanted}"),
        "maximum": _bound(lambda value, bound: value > bound, "{value} is more than the maximum of {wanted}"),
        "exclusiveMinimum": _bound(lambda value, bound: value <= bound, "{value} is not more than {wanted}"),
        "exclusiveMaximum": _bound(lambda value, bound: value >= bound, "{value} is not less than {wanted}"),
        "multipleOf": _multiple_of,
        "minLength": _size(str, lambda size, bound: size < bound, "{value} has fewer than {wanted} characters"),
        "maxLength": _size(str, lambda size, bound: size > bound, "{value} has more than {wanted} characters"),
        "minItems": _size(list, lambda size, bound: size < bound, "{value} has fewer than {wanted} items"),
        "maxItems": _size(list, lambda size, bound: size > bound, "{value} has more than {wanted} items"),
        "minProperties": _size(dict, lambda size, bound: size < bound, "{value} has fewer than {wanted} properties"),
        "maxProperties": _size(dict, lambda size, bound: size > bound, "{value} has more than {wanted} properties"),
        "pattern": _pattern,
        "format": _format,
        "prefixItems": _prefix_items,
        "items": _items,
        "contains": _contains,
        "uniqueItems": _unique_items,
        "properties": _properties,
        "patternProperties": _pattern_properties,
        "additionalProperties": _additional_properties,
        "propertyNames": _property_names,
        "required": _required,
        "dependentRequired": _dependent_required,
        "dependentSchemas": _dependent_schemas,
        "allOf": _all_of,
        "anyOf": _any_of,
        "oneOf": _one_of,
        "not": _not,
        "if": _if,
    }
)
