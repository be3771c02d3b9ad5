"""All checks, in the order in which their problems tell most."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from flowkiln.api.flow import FlowSpec
from flowkiln.api.flow_run import FlowRunSpec
from flowkiln.api.validation.choices import check_choices, check_run_choices
from flowkiln.api.validation.cycles import check_cycles
from flowkiln.api.validation.durations import check_durations, check_run_durations
from flowkiln.api.validation.names import check_names
from flowkiln.api.validation.parameters import check_parameters, resolve_parameters
from flowkiln.api.validation.pod_template import check_pod_template
from flowkiln.api.validation.problem import Problem
from flowkiln.api.validation.references import check_references
from flowkiln.api.validation.sizes import check_plan_size, check_run_sizes, check_sizes
from flowkiln.api.validation.source import check_source
from flowkiln.api.validation.triggers import check_triggers

FLOW_CHECKS: tuple[Callable[[FlowSpec], Iterator[Problem]], ...] = (
    check_choices,
    check_names,
    check_references,
    check_cycles,
    check_triggers,
    check_durations,
    check_sizes,
    check_parameters,
    check_source,
    check_pod_template,
)


def check_flow(spec: FlowSpec, field: str = "spec") -> tuple[Problem, ...]:
    """Give all problems of a flow; `field` is where it stands (`spec.flowSpec` for an inline one)."""
    return tuple(problem.under(field) for check in FLOW_CHECKS for problem in check(spec))


def check_flow_run(run: FlowRunSpec, flow: FlowSpec | None) -> tuple[Problem, ...]:
    """Give all problems of a FlowRun; `flow` is the spec of the Flow that it refers to, None while that is not known.

    An inline flowSpec is checked as a whole. A Flow that is referred to is not checked again here, but what the run
    gives to it is.
    """
    problems = [problem.under("spec") for problem in (*check_run_choices(run), *check_run_durations(run))]
    if run.flow_spec is not None:
        problems += check_flow(run.flow_spec, "spec.flowSpec")
        flow = flow or run.flow_spec
    problems += (problem.under("spec") for problem in check_run_sizes(run.parameters, run.context))
    if flow is not None:
        values, found = resolve_parameters(flow, run.parameters)
        problems += (problem.under("spec") for problem in (*found, *check_plan_size(flow, values, run.context)))
    return tuple(problems)
