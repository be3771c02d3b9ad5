"""Loggers of the package and of bodies."""

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
    """Return the package's logger, or its child `name`."""
    return logging.getLogger(ROOT if name is None else f"{ROOT}.{name}")


def configure_logging() -> None:
    """Send the package's log to standard error, as configured in `config.logging`.

    For programs without logging configuration: do nothing if the package's logger or the root logger has a handler.
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
        logger.warning("The setting logging.format is not a valid logging format (%s); the default is used.", error)
    logger.setLevel(configured_level())


def configured_level() -> int:
    """Return the level in `config.logging.level`; INFO, with a warning, if it is invalid."""
    wanted = config.get_nested("logging.level", "INFO")
    if isinstance(wanted, int) and not isinstance(wanted, bool):
        return wanted
    level = logging.getLevelNamesMapping().get(str(wanted).upper())
    if level is None:
        known = ", ".join(logging.getLevelNamesMapping())
        get_logger().warning("The setting logging.level is %r, which is not one of %s; INFO is used.", wanted, known)
        return logging.INFO
    return level


class _Formatter(SafeFormatter):
    """A formatter that shows the task run in the logger's name: `flowkiln.run.load[3]`."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as text."""
        known = vars(record)
        if record.name == RUN and known.get("task") is not None:
            index = "" if known.get("map_index") is None else f"[{known['map_index']}]"
            record = copy.copy(record)
            record.name = f"{RUN}.{known['task']}{index}"
        return super().format(record)


class _StandardError(logging.StreamHandler[Any]):
    """A handler for the current `sys.stderr`, which notebooks and tests replace."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)

    @property
    def stream(self) -> Any:
        """Return the current standard error."""
        return sys.stderr

    def emit(self, record: logging.LogRecord) -> None:
        """Write the record, unless the program has no standard error."""
        if sys.stderr is not None:
            super().emit(record)


class RunLogger(logging.LoggerAdapter[logging.Logger]):
    """Add `run`, `task`, `map_index` and `run_count` of the task run to each record.

    Unknown values, as outside a run, are None. `map_index` is None unless the task run is a mapped child.
    """

    def process(self, msg: Any, kwargs: MutableMapping[str, Any]) -> tuple[Any, MutableMapping[str, Any]]:
        """Merge the facts of the task run into `extra`; the caller's values win.

        A key that is an attribute of every record gets an underscore, as in `name_`.
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
    """Return the logger for bodies: a standard logger whose records have run, task, map index and run count."""
    return RunLogger(logging.getLogger(RUN), {})
