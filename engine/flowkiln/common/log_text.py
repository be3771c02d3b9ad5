"""Format log records of bodies without ever failing.

A log call never fails a body: the error of a record that cannot be formatted is logged instead, as Python's logging
prints it on standard error.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from flowkiln.common.safe_text import encodable, safe_repr, safe_str, shortened

TEXT_LIMIT = 64 * 1024
"""Maximum number of characters of a record."""

_ARGUMENTS_LIMIT = 500
_FORMATTER = logging.Formatter()


def text_of(record: logging.LogRecord) -> str:
    """Return the message with its traceback, or a text that says why it cannot be formatted."""
    return cut(_formatted(record, _FORMATTER.format))


def cut(text: str) -> str:
    """Return a text that every stream can encode, at most `TEXT_LIMIT` characters."""
    text = encodable(text)
    if len(text) <= TEXT_LIMIT:
        return text
    return f"{shortened(text, TEXT_LIMIT)} [cut: {len(text)} characters]"


class SafeFormatter(logging.Formatter):
    """A formatter that never fails."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the formatted record, or a text that says why it cannot be formatted."""
        return encodable(_formatted(record, super().format))


def _formatted(record: logging.LogRecord, formatted: Callable[[logging.LogRecord], str]) -> str:
    try:
        return formatted(record)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        if type(error).__module__.startswith("flowkiln."):
            # Raised from another thread at this moment: a deadline, or the end of the run.
            raise
        return _complaint(record, error)


def _complaint(record: logging.LogRecord, error: BaseException) -> str:
    return "\n".join(
        (
            "--- Logging error ---",
            f"{type(error).__name__}: {safe_str(error, _ARGUMENTS_LIMIT)}",
            f"Message: {safe_repr(record.msg, _ARGUMENTS_LIMIT)}",
            f"Arguments: {safe_repr(record.args, _ARGUMENTS_LIMIT)}",
            f"Logged at {record.pathname}:{record.lineno} in {record.funcName}",
        )
    )
