"""Whether a run fits its flow, and with which parameters it runs. Costly, so it is found once and remembered."""

from __future__ import annotations

from collections.abc import Iterator

from flowkiln.api.flow import FlowSpec
from flowkiln.api.validation import ParameterChecks, flow_problems, flow_run_problems, resolve_parameters
from flowkiln_operator.controller.snapshot import Admission, FlowView, RunView


def admit(run: RunView, flow: FlowView | None) -> Admission:
    """Check a run, as far as its Flow is known. All checks share one budget, and the first problem ends them."""
    problem = next(_problems(run, flow), None)
    spec = flow.spec if flow else None
    if problem is not None or spec is None or run.spec is None:
        return Admission(problem)
    return Admission(None, resolve_parameters(spec, run.spec.parameters))


def _problems(run: RunView, flow: FlowView | None) -> Iterator[str]:
    if run.spec is None:
        yield run.spec_error
        return
    if flow is not None and flow.spec is None:
        yield f"Flow {flow.name}: {flow.spec_error}"
        return
    checks = ParameterChecks()
    spec: FlowSpec | None = flow.spec if flow else None
    for problem in flow_run_problems(run.spec, spec, checks):
        yield problem.sentence
    if flow is not None and spec is not None and not flow.inline:
        for problem in flow_problems(spec, checks=checks):
            yield f"Flow {flow.name}: {problem.sentence}"
