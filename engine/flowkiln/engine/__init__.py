"""Running a flow: states, signals, runners, the driver and the executors."""

from flowkiln.engine.flow_runner import FlowRunner
from flowkiln.engine.task_runner import TaskRunner

__all__ = ["FlowRunner", "TaskRunner"]
