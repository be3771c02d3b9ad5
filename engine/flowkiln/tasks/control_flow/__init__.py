"""Branches of a flow that depend on results."""

from flowkiln.common.lazy_modules import lazy_submodules
from flowkiln.tasks.control_flow.case_block import case
from flowkiln.tasks.control_flow.conditional import ifelse, merge, switch
from flowkiln.tasks.control_flow.filter import FilterTask

__all__ = ["FilterTask", "case", "ifelse", "merge", "switch"]

__getattr__, __dir__ = lazy_submodules(__name__, ["case_block", "conditional", "filter"])
