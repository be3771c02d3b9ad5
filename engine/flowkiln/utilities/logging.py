"""The public path of the loggers."""

from flowkiln.common.logging import RunLogger, configure_logging, get_logger, get_run_logger

__all__ = ["RunLogger", "configure_logging", "get_logger", "get_run_logger"]
