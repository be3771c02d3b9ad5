"""Loggers: one for the package, one for the body of a task."""

from __future__ import annotations

import copy
import logging
import sys
from collections.abc import Mapping, MutableMapping
from typing import Any

from flowkiln.common.configuration import config
from flowkiln.common.log_text import SafeFormatter
from flowkiln.common.run_facts import run_facts
from flowkiln.common.safe_text import safe_repr

ROOT = "flowkiln"
RUN = f"{ROOT}.run"

_TAKEN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime"}
_DEFAULT_FORMAT = "%(asctime)s %(levelname)-7s %(name)s | %(message)s"


def get_logger(name: str | None = None) -> logging.Logger:
    """Give the package's logger, or its child `name`."""
    return logging.getLogger(ROOT if name is None else f"{ROOT}.{name}")


def configure_logging() -> None:
    """Send the package's log to standard error, as `config.logging` says.

    For programs that set up no logging themselves: does nothing when the package's logger or the root logger has a
    handler already.
    """
    logger = get_logger()
    if logger.handlers or logging.getLogger().handlers:
        return
    handler = _StandardError()
    logger.addHandler(handler)
    try:
        handler.setFormatter(_Formatter(config.get_nested("logging.format")))
    except (TypeError, ValueError) as error:
        handler.setFormatter(_Formatter(_DEFAULT_FORMAT))
        logger.warning("The setting logging.format is no format of Python's logging (%s): the default is used.", error)
    logger.setLevel(configured_level())


def configured_level() -> int:
    """Return the level that `config.logging.level` names; INFO, with a warning, if it names none."""
    wanted = config.get_nested("logging.level", "INFO")
    if isinstance(wanted, int) and not isinstance(wanted, bool):
        return wanted
    level = logging.getLevelNamesMapping().get(str(wanted).upper())
    if level is None:
        known = ", ".join(logging.getLevelNamesMapping())
        get_logger().warning("The setting logging.level is %r, which is none of %s: INFO is used.", wanted, known)
        return logging.INFO
    return level


class _Formatter(SafeFormatter):
    """Shows whose body logged in place of the logger's name: `flowkiln.run.load[3]`."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as text."""
        known = vars(record)
        if record.name == RUN and known.get("task") is not None:
            index = "" if known.get("map_index") is None else f"[{known['map_index']}]"
            record = copy.copy(record)
            record.name = f"{RUN}.{known['task']}{index}"
        return super().format(record)


class _StandardError(logging.StreamHandler[Any]):
    """Writes to `sys.stderr` as it is when a record comes: notebooks and tests replace it."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)

    @property
    def stream(self) -> Any:
        """Standard error of this moment."""
        return sys.stderr

    def emit(self, record: logging.LogRecord) -> None:
        """Write the record; a program without standard error has no log."""
        if sys.stderr is not None:
            super().emit(record)


class RunLogger(logging.LoggerAdapter[logging.Logger]):
    """Adds to each record what is known about the task run: `run`, `task`, `map_index`, `run_count`.

    A value that is unknown, as outside of a run, is None. `map_index` is None for a task run that is no mapped child.
    """

    def process(self, msg: Any, kwargs: MutableMapping[str, Any]) -> tuple[Any, MutableMapping[str, Any]]:
        """Merge the run's facts into `extra`; what the caller gives there wins.

        Attributes of every record cannot be given: such a name gets an underscore, as in `name_`.
        """
        kwargs["extra"] = {**run_facts()._asdict(), **_given(kwargs.get("extra"))}
        return msg, kwargs


def _given(extra: object) -> dict[str, Any]:
    if extra is None:
        return {}
    if not isinstance(extra, Mapping):
        return {"extra": safe_repr(extra)}
    return {f"{key}_" if key in _TAKEN else str(key): value for key, value in extra.items()}


def get_run_logger() -> RunLogger:
    """Give the logger for task bodies: a standard logger whose records carry run, task, map index and run count."""
    return RunLogger(logging.getLogger(RUN), {})
