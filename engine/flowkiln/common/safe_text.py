"""Text of objects that users define: it never raises, and every encoding of Unicode can carry it.

An exception's `__repr__` may raise, a container may be too deep to be shown, a file name may hold lone surrogates.
Whoever puts such an object into a message, a record or a log line uses these functions.
"""

from __future__ import annotations

from typing import Any


def safe_repr(value: Any, limit: int | None = None) -> str:
    """Return `repr(value)`, or a stand-in that names the type where that raises; cut to `limit` characters."""
    try:
        text = repr(value)
    except BaseException as error:
        text = f"<{type(value).__qualname__} whose repr raises {type(error).__qualname__}>"
    return shortened(encodable(text), limit)


def safe_str(value: Any, limit: int | None = None) -> str:
    """Return `str(value)`, or a stand-in that names the type where that raises; cut to `limit` characters."""
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
