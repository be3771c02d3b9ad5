"""A logging handler that turns records into lines."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from flowkiln.cli.output.streams import write_raw
from flowkiln.common.log_text import text_of
from flowkiln.common.logging import configured_level, get_logger
from flowkiln.common.run_facts import RunFacts

Say = Callable[[str, str, str, float, RunFacts], None]
"""Called with text, displayed level, logger name, time, and task run."""


class LineHandler(logging.Handler):
    """Emit each record as a line. A forked process writes it to standard error."""

    def __init__(self, say: Say) -> None:
        super().__init__()
        self._say = say
        self._process = os.getpid()

    def emit(self, record: logging.LogRecord) -> None:
        """Emit a record; values that are not plain text are converted."""
        level = "" if record.levelno <= logging.INFO else f"{record.levelname} "
        text = text_of(record)
        if os.getpid() != self._process:
            write_raw(2, f"{level}{text}\n")
            return
        self._say(text, level, record.name, record.created, _facts_of(record))


def _facts_of(record: logging.LogRecord) -> RunFacts:
    known = vars(record)
    run, task = (None if known.get(name) is None else str(known[name]) for name in ("run", "task"))
    return RunFacts(run, task, _whole(known.get("map_index")), _whole(known.get("run_count")))


def _whole(value: Any) -> int | None:
    return value if type(value) is int else None


@contextmanager
def logging_to(say: Say) -> Iterator[None]:
    """Emit the records of flowkiln's loggers, including those of bodies, at the configured level."""
    logger = get_logger()
    handler, level = LineHandler(say), logger.level
    logger.addHandler(handler)
    logger.setLevel(configured_level())
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
