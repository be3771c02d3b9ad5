"""The public path of functions as tasks."""

from flowkiln.core.values.function import FunctionTask

__all__ = ["FunctionTask"]
