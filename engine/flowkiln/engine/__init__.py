"""Running a flow: the driver, runners and executors."""

from typing import TYPE_CHECKING, Any

from flowkiln.common.lazy_modules import lazy_submodules

if TYPE_CHECKING:
    from flowkiln.engine.flow_runner import FlowRunner
    from flowkiln.engine.task_runner import TaskRunner

__all__ = ["FlowRunner", "TaskRunner"]

_submodule, __dir__ = lazy_submodules(
    __name__,
    ("cache_validators", "executors", "flow_runner", "result", "runner", "signals", "state", "task_runner"),
)


def __getattr__(name: str) -> Any:
    # Building a flow needs signals and states, not what runs it.
    if name == "FlowRunner":
        from flowkiln.engine.flow_runner import FlowRunner

        return FlowRunner
    if name == "TaskRunner":
        from flowkiln.engine.task_runner import TaskRunner

        return TaskRunner
    return _submodule(name)
