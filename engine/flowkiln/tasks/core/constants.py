"""The public path of values as tasks."""

from flowkiln.core.values.constants import Constant

__all__ = ["Constant"]
