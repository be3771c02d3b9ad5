"""Cut and clean text from user code for the API server."""

from __future__ import annotations

from datetime import UTC, datetime

from flowkiln.api.limits import MAX_MESSAGE, MAX_TRACEBACK

_MARK = "… "
_KEPT_CONTROLS = "\n\t"


def clean(text: str) -> str:
    """Return the text without control characters and lone surrogates."""
    if text.isascii() and text.isprintable():
        return text
    text = text.replace("\r\n", "\n")
    return "".join(
        "\ufffd" if (c < " " and c not in _KEPT_CONTROLS) or "\x7f" <= c <= "\x9f" or "\ud800" <= c <= "\udfff" else c
        for c in text
    )


def head(text: str, max_bytes: int = MAX_MESSAGE) -> str:
    """Return the beginning of a text, at most `max_bytes` of UTF-8, with a mark where it was cut."""
    # A character has at most 4 bytes: cutting first avoids cleaning an enormous text.
    cleaned = clean(text[: max_bytes + 1])
    if len(encoded := cleaned.encode()) <= max_bytes and len(text) <= max_bytes + 1:
        return cleaned
    room = max_bytes - len(_MARK.encode())
    return encoded[:room].decode(errors="ignore") + _MARK.strip()


def tail(text: str, max_bytes: int = MAX_TRACEBACK) -> str:
    """Return the end of a text, at most `max_bytes` of UTF-8, with a mark where it was cut."""
    cleaned = clean(text[-(max_bytes + 1) :])
    if len(encoded := cleaned.encode()) <= max_bytes and len(text) <= max_bytes + 1:
        return cleaned
    room = max_bytes - len(_MARK.encode())
    return _MARK + encoded[len(encoded) - room :].decode(errors="ignore")


def timestamp(seconds: float) -> str:
    """Return seconds since the epoch as RFC 3339 in UTC, in whole seconds, as in Kubernetes."""
    return datetime.fromtimestamp(int(seconds), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
