"""Strict JSON: reject what Python's reader accepts or changes beyond the standard."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any


class JsonError(ValueError):
    """A text is not JSON, or JSON that Python would change."""


class DuplicateKeyError(JsonError):
    """An object has a duplicate key; Python silently keeps the last value."""

    def __init__(self, key: str) -> None:
        super().__init__(f"the key {json.dumps(key)} is given twice")


class NumberTooLargeError(JsonError):
    """A number is too large for a float; Python reads infinity."""

    def __init__(self, text: str) -> None:
        super().__init__(f"the number {text} is too large")
        self.text = text


def read_json(text: str) -> Any:
    """Read one JSON value.

    Raises:
        DuplicateKeyError: an object has a duplicate key.
        JsonError: the text is not JSON (NaN and Infinity are not), a number in it is too large, it is nested too
            deeply, or an escape is half a character (a lone surrogate).
    """
    try:
        value = strict_decoder().decode(text)
    except JsonError:
        raise
    except RecursionError:
        raise JsonError("it is nested too deeply") from None
    except ValueError as error:
        raise JsonError(str(error)) from error
    check_characters(text, value)
    return value


def strict_decoder(
    parse_int: Callable[[str], Any] = int, parse_float: Callable[[str], Any] = float
) -> json.JSONDecoder:
    """Return a decoder that raises JsonError for everything non-standard except lone surrogates.

    Text that is not JSON at all raises `json.JSONDecodeError`, which has line and column.
    """

    def finite(text: str) -> Any:
        if math.isinf(float(text)):
            raise NumberTooLargeError(text)
        return parse_float(text)

    return json.JSONDecoder(
        parse_int=parse_int, parse_float=finite, parse_constant=_refuse_constant, object_pairs_hook=_distinct
    )


def check_characters(text: str, value: Any) -> None:
    """Raise JsonError if a value, read from this text, holds lone surrogates, which cannot be encoded."""
    if "\\u" not in text and text.isascii():
        return
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        escape = error.object[error.start].encode(errors="backslashreplace").decode()
        raise JsonError(f"{escape} is half a character (a lone surrogate)") from None


def _refuse_constant(constant: str) -> None:
    raise JsonError(f"{constant} is no JSON")


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise DuplicateKeyError(key)
            seen.add(key)
    return values
