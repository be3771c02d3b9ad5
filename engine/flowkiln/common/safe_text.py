"""Convert user objects to text without raising, and encodable in every Unicode encoding.

An exception's `__repr__` may raise, a container may be nested too deeply, a file name may contain lone surrogates. Use
these functions for user objects in messages, records and log lines.
"""

from __future__ import annotations

from typing import Any


def safe_repr(value: Any, limit: int | None = None) -> str:
    """Return `repr(value)`, or a placeholder with the type if that raises; cut to `limit` characters."""
    try:
        text = repr(value)
    except BaseException as error:
        text = f"<{type(value).__qualname__} whose repr raises {type(error).__qualname__}>"
    return shortened(encodable(text), limit)


def safe_str(value: Any, limit: int | None = None) -> str:
    """Return `str(value)`, or a placeholder with the type if that raises; cut to `limit` characters."""
    if type(value) is str and value.isascii():
        return shortened(value, limit)
    try:
        text = str(value)
    except BaseException as error:
        text = f"<{type(value).__qualname__} whose str raises {type(error).__qualname__}>"
    return shortened(encodable(text), limit)


def encodable(text: str) -> str:
    """Return the text with lone surrogates written as escapes (`\\udce9`), so that UTF-8 can encode it."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode(errors="backslashreplace").decode()
    return text


def shortened(text: str, limit: int | None) -> str:
    """Return the text, cut to `limit` characters with an ellipsis as the last of them. None: no limit."""
    if limit is None or len(text) <= limit:
        return text
    return text[: max(0, limit - 1)] + "…"
