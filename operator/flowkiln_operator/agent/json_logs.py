"""Log JSON lines to standard output, each with its run."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime

from flowkiln_operator.status.text import head, tail

_FACTS = ("task", "map_index", "run_count", "state")
_MAX_MESSAGE_BYTES = 16 * 1024


class JsonLines(logging.Formatter):
    """A formatter for JSON lines: time, level, logger, message, run, and the facts of the task run."""

    def __init__(self, run: str = "") -> None:
        """`run` is namespace/name of the FlowRun, once it is known."""
        super().__init__()
        self.run = run

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as one line."""
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": head(record.getMessage(), _MAX_MESSAGE_BYTES),
        }
        if self.run:
            line["run"] = self.run
        for fact in _FACTS:
            if (value := getattr(record, fact, None)) is not None:
                line[fact] = value
        if record.exc_info:
            line["exception"] = tail(self.formatException(record.exc_info), _MAX_MESSAGE_BYTES)
        return json.dumps(line, ensure_ascii=False, default=str)


def log_to_stdout() -> JsonLines:
    """Configure all logging of this process as JSON lines, and return the formatter, to set the run.

    Handlers that libraries such as Dask install on import are removed.
    """
    formatter = JsonLines()
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    for name, known in logging.root.manager.loggerDict.items():
        if isinstance(known, logging.Logger) and known.handlers and not name.startswith("flowkiln"):
            known.handlers.clear()
            known.propagate = True
            known.setLevel(logging.WARNING)
    logging.getLogger("flowkiln").setLevel(logging.INFO)
    return formatter
