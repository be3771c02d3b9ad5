"""The parameter values of a run: those of its FlowRun, overridden by the command line."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flowkiln.api.flow_run import FlowRef, FlowRunSpec
from flowkiln.api.validation import Problem, check_flow, check_flow_run
from flowkiln.common.exceptions import InvalidSpecError
from flowkiln.loading.documents import FlowDocument, FlowRunDocument
from flowkiln.loading.parameter_values import RawValue, parameter_label, parse_parameters


def complete_run(flow: FlowDocument, run: FlowRunDocument | None, given: Mapping[str, Any]) -> FlowRunSpec:
    """Return the spec of the run, or a new one for this flow, with its parameters overridden by `given`.

    Raises:
        InvalidSpecError: flow, run or parameters are invalid; the message quotes each problem as written or typed.
    """
    values, unreadable = parse_parameters(flow.spec, given)
    if unreadable:
        raise InvalidSpecError("\n".join(unreadable))
    spec = FlowRunSpec(flow_ref=FlowRef(name=flow.name)) if run is None else run.spec
    spec = spec.model_copy(update={"parameters": {**spec.parameters, **values}})
    lines = [str(flow.finding(problem)) for problem in check_flow(flow.spec)] if spec.flow_spec is None else []
    lines += [_in_words(problem, flow, run, given) for problem in check_flow_run(spec, flow.spec)]
    if lines:
        raise InvalidSpecError("\n".join(lines))
    return spec


def _in_words(problem: Problem, flow: FlowDocument, run: FlowRunDocument | None, given: Mapping[str, Any]) -> str:
    """Describe a problem by the typed parameter, else by the FlowRun, else by the flow."""
    name = _given_name(problem.field, given)
    if name is None and run is not None:
        return str(run.finding(problem))
    if name is not None and isinstance(given[name], RawValue):
        inside = problem.field.removeprefix(f"spec.parameters.{name}")
        return ": ".join(filter(None, [parameter_label(name, given[name]), inside, problem.message]))
    return f"{flow.file}: {flow.title}: {problem.sentence.removeprefix('spec.')}"


def _given_name(field: str, given: Mapping[str, Any]) -> str | None:
    rest = field.removeprefix("spec.parameters.")
    if rest == field:
        return None
    return next((name for name in given if rest == name or rest.startswith((f"{name}.", f"{name}["))), None)
