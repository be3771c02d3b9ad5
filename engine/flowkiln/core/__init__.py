"""The graph of a flow: tasks, parameters and edges."""

from flowkiln.common.lazy_modules import lazy_submodules
from flowkiln.core.edge import Edge
from flowkiln.core.flow import Flow
from flowkiln.core.task import Parameter, Task

__all__ = ["Edge", "Flow", "Parameter", "Task"]

__getattr__, __dir__ = lazy_submodules(
    __name__, ["edge", "flow", "graph", "local_ids", "operators", "signature", "task", "visualization"]
)
