"""All checks, in the order in which their problems tell most."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice

from flowkiln.api.flow import FlowSpec
from flowkiln.api.flow_run import FlowRunSpec
from flowkiln.api.validation.choices import check_choices, check_run_choices
from flowkiln.api.validation.cycles import check_cycles
from flowkiln.api.validation.durations import check_durations, check_run_durations
from flowkiln.api.validation.names import check_names
from flowkiln.api.validation.parameters import ParameterChecks, check_parameters, check_values, resolve_parameters
from flowkiln.api.validation.pod_template import check_pod_template
from flowkiln.api.validation.problem import Problem
from flowkiln.api.validation.references import check_references
from flowkiln.api.validation.sizes import check_plan_size, check_run_sizes, check_sizes
from flowkiln.api.validation.source import check_source
from flowkiln.api.validation.triggers import check_triggers

MAX_PROBLEMS = 100
"""How many problems are told at once. To find a similar name for each takes its time."""

FLOW_CHECKS: tuple[Callable[[FlowSpec], Iterator[Problem]], ...] = (
    check_choices,
    check_names,
    check_references,
    check_cycles,
    check_triggers,
    check_durations,
    check_sizes,
)
MORE_FLOW_CHECKS: tuple[Callable[[FlowSpec], Iterator[Problem]], ...] = (check_source, check_pod_template)


def flow_problems(spec: FlowSpec, field: str = "spec", checks: ParameterChecks | None = None) -> Iterator[Problem]:
    """Find the problems of a flow one by one; whoever stops at the first does no work for the others.

    `field` is where the spec stands (`spec.flowSpec` for an inline one). `checks` holds the budget that this shares
    with other checks.
    """
    for check in FLOW_CHECKS:
        yield from _under(field, check(spec))
    yield from _under(field, check_parameters(spec, checks or ParameterChecks()))
    for check in MORE_FLOW_CHECKS:
        yield from _under(field, check(spec))


def flow_run_problems(
    run: FlowRunSpec, flow: FlowSpec | None, checks: ParameterChecks | None = None
) -> Iterator[Problem]:
    """Find the problems of a FlowRun one by one; `flow` is the spec of the Flow that it refers to, None if not known.

    An inline flowSpec is checked as a whole. A Flow that is referred to is not checked again here, but what the run
    gives to it is.
    """
    checks = checks or ParameterChecks()
    yield from _under("spec", check_run_choices(run))
    yield from _under("spec", check_run_durations(run))
    if run.flow_spec is not None:
        yield from flow_problems(run.flow_spec, "spec.flowSpec", checks)
        flow = flow or run.flow_spec
    yield from _under("spec", check_run_sizes(run.parameters, run.context))
    if flow is not None:
        yield from _under("spec", check_values(flow, run.parameters, checks))
        yield from _under("spec", check_plan_size(flow, resolve_parameters(flow, run.parameters), run.context))


def check_flow(spec: FlowSpec, field: str = "spec") -> tuple[Problem, ...]:
    """Return the problems of a flow, the first 100; see `flow_problems`."""
    return tuple(islice(flow_problems(spec, field), MAX_PROBLEMS))


def check_flow_run(run: FlowRunSpec, flow: FlowSpec | None) -> tuple[Problem, ...]:
    """Return the problems of a FlowRun, the first 100; see `flow_run_problems`."""
    return tuple(islice(flow_run_problems(run, flow), MAX_PROBLEMS))


def _under(field: str, problems: Iterator[Problem]) -> Iterator[Problem]:
    return (problem.under(field) for problem in problems)
