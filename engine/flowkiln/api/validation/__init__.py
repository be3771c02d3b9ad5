"""What is wrong with a Flow or a FlowRun, found without importing any of its code: pure functions, one file a concern.

`parse_flow_spec` and `parse_flow_run_spec` read documents, `check_flow` and `check_flow_run` compare what was read with
itself and with each other. All of them give `Problem`s, the most telling first.
"""

from __future__ import annotations

from flowkiln.api.validation.checks import check_flow, check_flow_run, flow_problems, flow_run_problems
from flowkiln.api.validation.parameters import ParameterChecks, resolve_parameters
from flowkiln.api.validation.parsing import parse_flow_run_spec, parse_flow_spec
from flowkiln.api.validation.problem import Problem

__all__ = [
    "ParameterChecks",
    "Problem",
    "check_flow",
    "check_flow_run",
    "flow_problems",
    "flow_run_problems",
    "parse_flow_run_spec",
    "parse_flow_spec",
    "resolve_parameters",
]
