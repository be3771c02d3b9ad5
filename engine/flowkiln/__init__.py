"""Flowkiln: classic Prefect's engine, for flows that run on ephemeral Dask clusters in Kubernetes or on a laptop.

Look-alikes: `flowkiln.context` is the Context instance and `flowkiln.utilities.context` a module; `flowkiln.config` is
the Config object and `flowkiln.configuration` a module; `flowkiln.task` is the decorator and `flowkiln.tasks` a
package.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from flowkiln._version import __version__
from flowkiln.common.lazy_modules import lazy_submodules

if TYPE_CHECKING:
    from flowkiln.common.configuration import config
    from flowkiln.common.context import context
    from flowkiln.common.logging import get_run_logger
    from flowkiln.core import Flow, Parameter, Task
    from flowkiln.tasks.control_flow.case_block import case
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

_HOMES = {
    "config": "flowkiln.common.configuration",
    **dict.fromkeys(("Flow", "Parameter", "Task"), "flowkiln.core"),
    "case": "flowkiln.tasks.control_flow.case_block",
    "context": "flowkiln.common.context",
    "get_run_logger": "flowkiln.common.logging",
    **dict.fromkeys(("flatten", "mapped", "tags", "task", "unmapped"), "flowkiln.utilities.tasks"),
}
"""The modules in which the names of this package are defined."""

_submodule, _directory = lazy_submodules(
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


def __getattr__(name: str) -> Any:
    # Importing any module imports this package, so it stays light: `flowkiln --help` needs none of these modules.
    if name not in _HOMES:
        return _submodule(name)
    found = globals()[name] = getattr(import_module(_HOMES[name]), name)
    return found


def __dir__() -> list[str]:
    return sorted({*_directory(), *_HOMES})
