"""The text of a log record, whatever a body put into it.

A log call never fails a body: a record that cannot be formatted is told on the log itself, as Python's own logging
tells it on standard error.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from flowkiln.common.safe_text import encodable, safe_repr, safe_str, shortened

TEXT_LIMIT = 64 * 1024
"""Characters of a record that are shown."""

_ARGUMENTS_LIMIT = 500
_FORMATTER = logging.Formatter()


def text_of(record: logging.LogRecord) -> str:
    """Return the message with the traceback that belongs to it, or a text that says why there is none."""
    return cut(_formatted(record, _FORMATTER.format))


def cut(text: str) -> str:
    """Return what every stream can carry of a text, at most `TEXT_LIMIT` characters."""
    text = encodable(text)
    if len(text) <= TEXT_LIMIT:
        return text
    return f"{shortened(text, TEXT_LIMIT)} [cut: {len(text)} characters]"


class SafeFormatter(logging.Formatter):
    """A formatter that has a text for every record."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as the format has it, or a text that says why that cannot be."""
        return encodable(_formatted(record, super().format))


def _formatted(record: logging.LogRecord, formatted: Callable[[logging.LogRecord], str]) -> str:
    try:
        return formatted(record)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        if type(error).__module__.startswith("flowkiln."):
            # Set from outside in this moment: a deadline, or the end of the run.
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
