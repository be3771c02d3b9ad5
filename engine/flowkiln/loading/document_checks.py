"""Check documents, each by itself and all together."""

from __future__ import annotations

from flowkiln.api.names import FLOW_KIND
from flowkiln.api.validation import Problem, check_flow, check_flow_run
from flowkiln.api.validation.problem import no_such
from flowkiln.loading.documents import Documents, FlowRunDocument, Identity
from flowkiln.loading.findings import Finding


def check_documents(documents: Documents) -> list[Finding]:
    """Return the findings of reading, of the operator's own checks, and of references between documents.

    The parameters of a FlowRun are compared with its Flow if the Flow is among the documents.
    """
    findings = [*documents.findings, *check_identities(documents)]
    for flow in documents.flows:
        findings += map(flow.finding, check_flow(flow.spec))
    for run in documents.runs:
        reference = run.spec.flow_ref
        known = documents.flow(reference.name, run.namespace) if reference is not None else None
        findings += map(run.finding, check_flow_run(run.spec, None if known is None else known.spec))
        if (problem := missing_flow(documents, run)) is not None:
            findings.append(run.finding(problem))
    return findings


def check_identities(documents: Documents) -> list[Finding]:
    """Find objects with the same kind, name and namespace: the later one would replace the earlier one."""
    findings = []
    first: dict[tuple[str, str, str], Identity] = {}
    for one in documents.identities:
        before = first.setdefault((one.kind, one.namespace, one.name), one)
        if before is not one:
            line = "" if before.written is None else f":{before.written.line}"
            message = f'{before.file}{line} has a {one.kind} "{one.name}" already; rename one of them'
            problem = Problem("metadata.name", message)
            findings.append(Finding.at(one.written, one.file, f"{one.kind} {one.name!r}", problem))
    return findings


def missing_flow(documents: Documents, run: FlowRunDocument) -> Problem | None:
    """Return the problem of a run whose Flow is not among the documents, unless there are no Flows at all."""
    flows = [one for one in documents.identities if one.kind == FLOW_KIND]
    if run.spec.flow_ref is None or not flows:
        return None
    name = run.spec.flow_ref.name
    named = [flow for flow in flows if flow.name == name]
    if not named:
        return Problem("spec.flowRef.name", no_such("Flow", name, (flow.name for flow in flows)))
    if run.namespace and all(flow.namespace not in ("", run.namespace) for flow in named):
        why = f'the Flow "{name}" is in another namespace than the run, "{run.namespace}"'
        return Problem("spec.flowRef.name", why)
    return None
