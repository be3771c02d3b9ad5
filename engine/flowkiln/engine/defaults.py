"""The classes that are used where a caller names none; `config` may name others by dotted path."""

from __future__ import annotations

import importlib
import warnings
from typing import TYPE_CHECKING, Any

from flowkiln.common.configuration import config

if TYPE_CHECKING:
    from flowkiln.engine.executors.base import Executor
    from flowkiln.engine.flow_runner import FlowRunner
    from flowkiln.engine.task_runner import TaskRunner


def default_executor() -> Executor:
    """Make the configured executor; LocalExecutor by default."""
    made: Executor = _configured("engine.executor.default_class", "flowkiln.engine.executors.local.LocalExecutor")()
    return made


def default_task_runner_class() -> type[TaskRunner]:
    """Give the configured TaskRunner class."""
    found: type[TaskRunner] = _configured("engine.task_runner.default_class", "flowkiln.engine.task_runner.TaskRunner")
    return found


def default_flow_runner_class() -> type[FlowRunner]:
    """Give the configured FlowRunner class."""
    found: type[FlowRunner] = _configured("engine.flow_runner.default_class", "flowkiln.engine.flow_runner.FlowRunner")
    return found


def _configured(key: str, built_in: str) -> Any:
    configured = config.get_nested(key, built_in)
    if not isinstance(configured, str):
        return configured
    try:
        return _load(configured)
    except (ImportError, AttributeError, ValueError) as error:
        warnings.warn(f"config {key}: cannot load {configured!r} ({error}); using {built_in}.", stacklevel=3)
        return _load(built_in)


def _load(path: str) -> Any:
    module, _, name = path.rpartition(".")
    return getattr(importlib.import_module(module), name)
