"""Load a flow from YAML files that hold a Flow and perhaps a FlowRun."""

from __future__ import annotations

import linecache
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from flowkiln.api.effective import cluster_times
from flowkiln.api.flow import FlowSpec
from flowkiln.api.validation import Problem, resolve_parameters
from flowkiln.api.validation.problem import no_such
from flowkiln.common.exceptions import InvalidSpecError
from flowkiln.common.source_folders import FOLDER_PREFIX
from flowkiln.loading.build import build_flow
from flowkiln.loading.document_checks import check_documents, check_identities, missing_flow
from flowkiln.loading.documents import Documents, FlowDocument, FlowRunDocument, read_documents
from flowkiln.loading.findings import Finding
from flowkiln.loading.import_path import ImportPath
from flowkiln.loading.loaded_flow import LoadedFlow, parameters_of
from flowkiln.loading.run_values import complete_run


def load_documents(files: Sequence[Path], given: dict[str, Any]) -> LoadedFlow:
    """Load the flow of YAML files that hold one Flow, or several and one FlowRun that names one of them.

    `given` are parameters that override those of the FlowRun. Raise the errors of `load_file`.
    """
    documents = read_documents(files)
    _refuse([*documents.findings, *check_identities(documents)])
    run = _the_run(documents)
    flow = documents.flows[0] if run is None else _the_flow(documents, run)
    spec = complete_run(flow, run, given)
    values = resolve_parameters(flow.spec, spec.parameters)
    with ExitStack() as held:
        if flow.spec.source is not None:
            folder = Path(held.enter_context(tempfile.TemporaryDirectory(prefix=FOLDER_PREFIX)))
            _write_source(flow.spec, folder)
            held.callback(ImportPath(folder).close)
        built = build_flow(flow.spec, flow.name)
        if flow.spec.entrypoint is not None:
            values = parameters_of(built, values)
        timeout = cluster_times(flow.spec, spec).timeout
        context = {**flow.spec.context, **spec.context}
        return LoadedFlow(built, flow.name, values, context, timeout, held.pop_all())


def _refuse(findings: Sequence[Finding]) -> None:
    if findings:
        raise InvalidSpecError("\n".join(str(finding) for finding in findings))


def _the_run(documents: Documents) -> FlowRunDocument | None:
    """Return the only FlowRun, or None if there is only one Flow, which then runs."""
    match documents.runs, documents.flows:
        case [run], _:
            return run
        case [], [_]:
            return None
        case [], flows:
            names = ", ".join(flow.name for flow in flows)
            raise InvalidSpecError(f"there are {len(flows)} Flows ({names}); add a FlowRun that names one of them")
        case runs, _:
            names = ", ".join(run.name for run in runs)
            raise InvalidSpecError(f"there are {len(runs)} FlowRuns ({names}); give the file of one")


def _the_flow(documents: Documents, run: FlowRunDocument) -> FlowDocument:
    if run.spec.flow_spec is not None:
        return FlowDocument(run.file, run.name, run.spec.flow_spec, run.namespace)
    reference = run.spec.flow_ref
    if reference is None:
        _refuse(check_documents(documents))
        raise InvalidSpecError(f"{run.file}: {run.title}: spec: names no Flow")
    flow = documents.flow(reference.name, run.namespace)
    if flow is None:
        problem = missing_flow(documents, run) or Problem("spec.flowRef.name", no_such("Flow", reference.name, ()))
        raise InvalidSpecError(f"{run.finding(problem)}; give the file of the Flow too")
    return flow


def _write_source(spec: FlowSpec, folder: Path) -> None:
    assert spec.source is not None  # noqa: S101 (for the type checker: the caller looked)
    for file in spec.source.files:
        path = folder / file.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(file.content, encoding="utf-8")
        # A traceback may be shown after the folder is deleted. linecache does not check an entry without a modification
        # time.
        linecache.cache[str(path)] = (len(file.content), None, file.content.splitlines(keepends=True), str(path))
