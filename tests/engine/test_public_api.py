"""What users find under which name."""

from __future__ import annotations

import subprocess
import sys
from types import ModuleType

import pytest

import flowkiln

MODULES = [
    "client",
    "configuration",
    "core",
    "core.edge",
    "core.flow",
    "core.task",
    "engine",
    "engine.cache_validators",
    "engine.executors",
    "engine.executors.base",
    "engine.executors.dask",
    "engine.executors.local",
    "engine.executors.sync",
    "engine.flow_runner",
    "engine.result",
    "engine.runner",
    "engine.signals",
    "engine.state",
    "engine.task_runner",
    "schedules",
    "tasks",
    "tasks.control_flow",
    "tasks.control_flow.conditional",
    "tasks.control_flow.filter",
    "tasks.core",
    "tasks.core.collections",
    "tasks.core.command",
    "tasks.core.constants",
    "tasks.core.function",
    "tasks.core.operators",
    "triggers",
    "utilities",
    "utilities.collections",
    "utilities.configuration",
    "utilities.context",
    "utilities.debug",
    "utilities.exceptions",
    "utilities.logging",
    "utilities.notifications",
    "utilities.serialization",
    "utilities.tasks",
]

# Those that others could depend on in a circle.
ENTRANCES = [
    "core.flow",
    "core.task",
    "engine.state",
    "engine.task_runner",
    "tasks.control_flow",
    "triggers",
    "utilities",
]


def in_a_new_process(source: str) -> str:
    """Run Python source and give what it prints."""
    return subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=True).stdout


class TestNames:
    def test_root(self) -> None:
        """The names of the root package are there."""
        names = "Task Flow Parameter task tags unmapped flatten case context config __version__ get_run_logger"
        assert all(hasattr(flowkiln, name) for name in names.split())
        assert set(flowkiln.__all__) <= set(dir(flowkiln))

    def test_one_identity_on_every_path(self) -> None:
        """A class is the same object whatever path it is imported through."""
        from flowkiln.core import Edge, Flow, Parameter, Task
        from flowkiln.utilities import tasks

        assert flowkiln.Task is Task is flowkiln.core.task.Task
        assert flowkiln.Flow is Flow is flowkiln.core.flow.Flow
        assert flowkiln.Parameter is Parameter is flowkiln.core.task.Parameter
        assert Edge is flowkiln.core.edge.Edge
        assert flowkiln.task is tasks.task
        assert flowkiln.unmapped is tasks.unmapped

    def test_look_alikes(self) -> None:
        """Instance and module, decorator and package are what their names promise."""
        assert isinstance(flowkiln.context, flowkiln.utilities.context.Context)
        assert isinstance(flowkiln.utilities.context, ModuleType)
        assert flowkiln.utilities.context.context is flowkiln.context
        assert isinstance(flowkiln.config, flowkiln.configuration.Config)
        assert isinstance(flowkiln.configuration, ModuleType)
        assert callable(flowkiln.task)
        assert isinstance(flowkiln.tasks, ModuleType)

    def test_control_flow(self) -> None:
        """The branches are found in their package."""
        from flowkiln.tasks.control_flow import FilterTask, case, ifelse, merge, switch

        assert flowkiln.case is case
        assert all(map(callable, (FilterTask, ifelse, merge, switch)))

    def test_unknown_names(self) -> None:
        """A name that is not there is an AttributeError."""
        with pytest.raises(AttributeError, match="nope"):
            flowkiln.nope  # noqa: B018


class TestImport:
    def test_every_module_is_an_attribute_after_a_bare_import(self) -> None:
        """`import flowkiln` is enough to reach each module by its dotted path."""
        assert (
            in_a_new_process(f"import flowkiln\nfor name in {MODULES}: eval('flowkiln.' + name)\nprint('all')")
            == "all\n"
        )

    def test_each_module_can_be_imported_first(self) -> None:
        """No module depends on another having been imported before."""
        for name in ENTRANCES:
            assert in_a_new_process(f"import flowkiln.{name}; print('fine')") == "fine\n"

    def test_an_import_is_light(self) -> None:
        """Neither Dask's scheduler nor validation libraries are loaded to write a flow, whichever names it uses."""
        heavy = {
            "dask",
            "distributed",
            "pydantic",
            "yaml",
            "obstore",
            "kubernetes",
            "rich",
            "click",
            "jsonschema",
            "tornado",
        }
        loaded = in_a_new_process(
            "import sys; from flowkiln import *; print(*{name.split('.')[0] for name in sys.modules})"
        )
        assert heavy & set(loaded.split()) == set()

    def test_importing_installs_no_signal_handlers(self) -> None:
        """Smaller fault: the process's signal handlers and its logging stay as they were."""
        source = (
            "import logging, signal\n"
            "before = [signal.getsignal(s) for s in signal.valid_signals()]\n"
            "import flowkiln\n"
            "print(before == [signal.getsignal(s) for s in signal.valid_signals()],"
            " logging.getLogger('flowkiln').handlers, logging.getLogger().handlers)"
        )
        assert in_a_new_process(source) == "True [] []\n"
