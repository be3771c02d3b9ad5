"""The values of YAML scalars in Kubernetes.

kubectl, Helm, Flux and the API server read YAML with one Go library (sigs.k8s.io/yaml): YAML 1.1 without sexagesimal
numbers and dates, with octal numbers of both kinds. It converts the values to JSON, which has one kind of number.
"""

from __future__ import annotations

import base64
import binascii
import math
import re
import struct
from decimal import Decimal
from typing import TypeAlias

Scalar: TypeAlias = bool | int | float | str | None

TAG_PREFIX = "tag:yaml.org,2002:"
MERGE_TAG = f"{TAG_PREFIX}merge"

_WORDS: dict[str, Scalar] = {
    **dict.fromkeys(["", "~", "null", "Null", "NULL"]),
    **dict.fromkeys(["y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"], True),
    **dict.fromkeys(["n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"], False),
    **dict.fromkeys([".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"], math.inf),
    **dict.fromkeys(["-.inf", "-.Inf", "-.INF"], -math.inf),
    **dict.fromkeys([".nan", ".NaN", ".NAN"], math.nan),
}
_INTEGER = re.compile(
    r"(?P<sign>[-+]?)(?:0[xX](?P<x>[0-9a-fA-F]+)|0[oO](?P<o>[0-7]+)|0[bB](?P<b>[01]+)|0(?P<zero>[0-7]*)"
    r"|(?P<d>[1-9][0-9]*))\Z"
)
_BASES = {"x": 16, "o": 8, "b": 2, "zero": 8, "d": 10}
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?\Z")
_POINT_FIRST = re.compile(r"\.[0-9]+(?:_[0-9]+)*(?:[eE][-+]?[0-9]+(?:_[0-9]+)*)?\Z")
_TIMESTAMP = re.compile(
    r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}"
    r"(?:[Tt][0-9]{1,2}:[0-9]{1,2}:[0-9]{1,2}(?:\.[0-9]+)?(?:Z|[-+][0-9]{2}:[0-9]{2})"
    r"| [0-9]{1,2}:[0-9]{1,2}:[0-9]{1,2}(?:\.[0-9]+)?)?\Z"
)
_MAX_INTEGER_DIGITS = 100
"""Digits: far more than 64 bits need, far fewer than Python reads slowly."""

_LARGEST_WRITTEN_OUT = 1e21
"""From this value on Go writes a float with an exponent, so JSON readers still read a float."""


class ScalarError(ValueError):
    """A scalar has no value, or none that JSON can represent; the message has the reason."""


def resolve(text: str) -> Scalar:
    """Return the value of plain text without a tag; an int has at most 64 bits, signed or unsigned."""
    if text in _WORDS:
        return _WORDS[text]
    first = text[0]
    if first == ".":
        return _finite(text) if _POINT_FIRST.match(text) else text
    if first not in "+-0123456789":
        return text
    digits = text.replace("_", "")
    integer = _integer(digits)
    if integer is not None:
        return integer
    return _finite(digits, text) if _FLOAT.match(digits) else text


def resolve_tagged(tag: str, text: str) -> Scalar:
    """Return the value of text with a tag; unknown tags are ignored and leave text.

    Raises:
        ScalarError: the text is not a value of the tag's type.
    """
    if not tag.startswith(TAG_PREFIX):
        return text
    value = resolve(text)
    match tag.removeprefix(TAG_PREFIX), value:
        case "binary", _:
            return _from_base64(text)
        case ("null", None) | ("bool", bool()) | ("float", float()):
            return value
        case "int", int() if not isinstance(value, bool):
            return value
        case "float", int() if not isinstance(value, bool) and value < 2**63:
            return float(value)
        case "timestamp", str() if _TIMESTAMP.match(text):
            return text
        case ("null" | "bool" | "int" | "float" | "timestamp") as kind, _:
            raise ScalarError(f'"{text}" is no value of !!{kind}')
        case _:
            return text


def as_json(value: Scalar) -> Scalar:
    """Return a value after a round trip through Go's JSON, which writes 5.0 as 5 and keeps 64 bits.

    Raises:
        ScalarError: it is infinite or not a number.
    """
    if isinstance(value, int) and not isinstance(value, bool) and not -(2**63) <= value < 2**63:
        value = float(value)
    if not isinstance(value, float):
        return value
    if not math.isfinite(value):
        raise ScalarError(f"{_special(value)} cannot be written in JSON, so Kubernetes refuses it")
    if value.is_integer() and abs(value) < _LARGEST_WRITTEN_OUT:
        return int(Decimal(repr(value)))
    return value


def as_key(value: Scalar) -> str:
    """Return the text of a key in JSON.

    Raises:
        ScalarError: it is null, or an integer of more than 63 bits.
    """
    match value:
        case str():
            return value
        case bool():
            return "true" if value else "false"
        case int() if value < 2**63:
            return str(value)
        case float():
            return _short_float(value)
        case None:
            raise ScalarError("a null cannot be a key; write it in quotes")
        case _:
            raise ScalarError(f"the number {value} is too large for a key; write it in quotes")


def _integer(digits: str) -> int | None:
    found = _INTEGER.match(digits)
    if found is None or len(digits) > _MAX_INTEGER_DIGITS:
        return None
    kind = found.lastgroup or ""
    magnitude = int(found[kind] or "0", _BASES[kind])
    value = -magnitude if found["sign"] == "-" else magnitude
    return value if -(2**63) <= value < (2**63 if found["sign"] else 2**64) else None


def _finite(digits: str, text: str | None = None) -> float | str:
    """Return the number, or the text if it is too large for a float."""
    value = float(digits)
    return value if math.isfinite(value) else (text or digits)


def _from_base64(text: str) -> str:
    try:
        return base64.b64decode(re.sub("[\r\n]", "", text), validate=True).decode()
    except binascii.Error:
        raise ScalarError("!!binary is not base64") from None
    except UnicodeDecodeError:
        raise ScalarError("!!binary is not UTF-8 text; omit the tag, and decode it in the task") from None


def _special(value: float) -> str:
    return ".nan" if math.isnan(value) else ".inf" if value > 0 else "-.inf"


def _short_float(value: float) -> str:
    """Format a float as Go formats a key: with the fewest digits that give the same 32-bit float."""
    if not math.isfinite(value):
        return _special(value)
    try:
        packed = struct.pack("<f", value)
    except OverflowError:
        return _special(math.copysign(math.inf, value))
    (rounded,) = struct.unpack("<f", packed)
    precisions = (f"{rounded:.{digits}e}" for digits in range(9))
    shortest = next(text for text in precisions if struct.pack("<f", float(text)) == packed)
    exponent = int(shortest.partition("e")[2])
    return shortest if not -4 <= exponent < 6 and rounded else f"{Decimal(shortest):f}"
