"""Loggers: one for the package, one for the body of a task."""

from __future__ import annotations

import logging
from collections.abc import MutableMapping
from typing import Any

from flowkiln.configuration import config
from flowkiln.utilities.context import context

ROOT = "flowkiln"
RUN = f"{ROOT}.run"


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
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter(config.get_nested("logging.format")))
    logger.addHandler(handler)
    logger.setLevel(config.get_nested("logging.level", "INFO"))


class RunLogger(logging.LoggerAdapter[logging.Logger]):
    """Adds to each record what the context says about the task run: `run`, `task`, `map_index`, `run_count`.

    A value that is unknown, as outside of a run, is None. `map_index` is None for a task run that is no mapped child.
    """

    def process(self, msg: Any, kwargs: MutableMapping[str, Any]) -> tuple[Any, MutableMapping[str, Any]]:
        """Merge the run's facts into `extra`; what the caller gives there wins."""
        kwargs["extra"] = {**run_facts(), **(kwargs.get("extra") or {})}
        return msg, kwargs


def run_facts() -> dict[str, Any]:
    """Say which task run the calling thread is in."""
    return {
        "run": context.get("run_id") or context.get("flow_name"),
        "task": context.get("task_local_id") or context.get("task_name"),
        "map_index": context.get("map_index"),
        "run_count": context.get("task_run_count"),
    }


def get_run_logger() -> RunLogger:
    """Give the logger for task bodies: a standard logger whose records carry run, task, map index and run count."""
    return RunLogger(logging.getLogger(RUN), {})
