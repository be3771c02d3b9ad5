"""Branches of a flow: which tasks run depends on results."""

from flowkiln.tasks.control_flow.case_block import case
from flowkiln.tasks.control_flow.conditional import ifelse, merge, switch
from flowkiln.tasks.control_flow.filter import FilterTask
from flowkiln.utilities.lazy_modules import lazy_submodules

__all__ = ["FilterTask", "case", "ifelse", "merge", "switch"]

__getattr__, __dir__ = lazy_submodules(__name__, ["case_block", "conditional", "filter"])
