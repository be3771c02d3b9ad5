"""Flowkiln: classic Prefect's engine, for flows that run on ephemeral Dask clusters in Kubernetes or on a laptop.

Look-alikes: `flowkiln.context` is the Context instance and `flowkiln.utilities.context` a module; `flowkiln.config` is
the Config object and `flowkiln.configuration` a module; `flowkiln.task` is the decorator and `flowkiln.tasks` a
package.
"""

from flowkiln._version import __version__
from flowkiln.configuration import config
from flowkiln.core import Flow, Parameter, Task
from flowkiln.tasks.control_flow.case_block import case
from flowkiln.utilities.context import context
from flowkiln.utilities.lazy_modules import lazy_submodules
from flowkiln.utilities.logging import get_run_logger
from flowkiln.utilities.tasks import flatten, mapped, tags, task, unmapped

__all__ = [
    "Flow",
    "Parameter",
    "Task",
    "__version__",
    "case",
    "config",
    "context",
    "flatten",
    "get_run_logger",
    "mapped",
    "tags",
    "task",
    "unmapped",
]

__getattr__, __dir__ = lazy_submodules(
    __name__,
    [
        "api",
        "cli",
        "client",
        "configuration",
        "core",
        "engine",
        "loading",
        "schedules",
        "tasks",
        "triggers",
        "utilities",
    ],
)
