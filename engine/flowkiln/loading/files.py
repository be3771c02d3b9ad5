"""Load a flow from files: one Python file, or YAML files that hold a Flow and perhaps a FlowRun."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from flowkiln.api.effective import cluster_times
from flowkiln.api.flow import FlowSpec
from flowkiln.api.flow_run import FlowRef, FlowRunSpec
from flowkiln.api.validation import Problem, resolve_parameters
from flowkiln.api.validation.problem import no_such
from flowkiln.core.flow import Flow
from flowkiln.loading.build import build_flow
from flowkiln.loading.documents import (
    Documents,
    Finding,
    FlowDocument,
    FlowRunDocument,
    check_documents,
    read_documents,
)
from flowkiln.loading.import_path import ImportPath
from flowkiln.loading.python_files import load_flow, module_of
from flowkiln.utilities.exceptions import FlowLoadError, InvalidSpecError

YAML_SUFFIXES = frozenset({".yaml", ".yml", ".json"})


@dataclass(frozen=True)
class LoadedFlow:
    """A flow, and what its run is given. Its modules can be imported, here and by new processes, until `close`.

    `parameters` are complete, with defaults filled in. `timeout` is None where there is no limit.
    """

    flow: Flow
    name: str
    parameters: dict[str, Any]
    context: dict[str, Any]
    timeout: timedelta | None = None
    _held: ExitStack = field(default_factory=ExitStack, repr=False)

    def close(self) -> None:
        """Take the flow's modules out of reach again and delete what was written for them."""
        self._held.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def load_file(path: Path | str, *more: Path | str, parameters: Mapping[str, Any] | None = None) -> LoadedFlow:
    """Load the flow of a Python file (`flow.py`, or `flow.py:attribute`), or of YAML files.

    YAML files hold one Flow, or several and one FlowRun that says which. `parameters` win over the FlowRun's.
    Raises InvalidSpecError for documents or parameters that are not valid, before any code is imported, and
    FlowLoadError for code that cannot be loaded.
    """
    given = dict(parameters or {})
    file, attribute = _split(str(path))
    if file.suffix == ".py":
        if more:
            raise InvalidSpecError(f"{path}: a Python file is loaded alone; give parameters instead of {more[0]}")
        return _load_python(file, attribute, given)
    files = [Path(one) for one in (path, *more)]
    for one in files:
        if one.suffix not in YAML_SUFFIXES:
            raise InvalidSpecError(f"{one}: neither a Python file (.py) nor a document (.yaml)")
    return _load_documents(files, given)


def _split(path: str) -> tuple[Path, str | None]:
    """Split `flow.py:attribute`."""
    head, colon, attribute = path.rpartition(":")
    if colon and head.endswith(".py") and attribute.isidentifier():
        return Path(head).resolve(), attribute
    return Path(path).resolve() if path.endswith(".py") else Path(path), None


def _load_python(file: Path, attribute: str | None, given: dict[str, Any]) -> LoadedFlow:
    if not file.is_file():
        raise FlowLoadError(f"{file}: there is no such file")
    folder, module_name = module_of(file)
    with ExitStack() as held:
        import_path = ImportPath(folder)
        held.callback(import_path.close)
        flow = load_flow(file, attribute, module_name, import_path)
        values = _parameters_of(flow, given)
        return LoadedFlow(flow, flow.name, values, {}, None, held.pop_all())


def _parameters_of(flow: Flow, given: dict[str, Any]) -> dict[str, Any]:
    """Compare parameters with the Parameter tasks of a flow, and fill in defaults."""
    declared = {parameter.name: parameter for parameter in flow.parameters()}
    problems = [
        Problem(f"parameters.{name}", no_such("parameter", name, declared)) for name in given if name not in declared
    ]
    problems += [
        Problem(f"parameters.{name}", "is required, and the run gives no value")
        for name, parameter in declared.items()
        if parameter.required and name not in given
    ]
    if problems:
        raise InvalidSpecError("\n".join(f"flow {flow.name!r}: {problem}" for problem in problems))
    defaults = {name: parameter.default for name, parameter in declared.items() if not parameter.required}
    return {**defaults, **given}


def _load_documents(files: Sequence[Path], given: dict[str, Any]) -> LoadedFlow:
    documents = read_documents(files)
    _refuse(documents.findings)
    run = _the_run(documents)
    flow = _the_flow(documents, run)
    spec = run.spec.model_copy(update={"parameters": {**run.spec.parameters, **given}})
    run = replace(run, spec=spec)
    _refuse(check_documents(Documents(flows=[flow], runs=[run])))
    values, _ = resolve_parameters(flow.spec, spec.parameters)
    with ExitStack() as held:
        if flow.spec.source is not None:
            folder = Path(held.enter_context(tempfile.TemporaryDirectory(prefix="flowkiln-source-")))
            _write_source(flow.spec, folder)
            held.callback(ImportPath(folder).close)
        built = build_flow(flow.spec, flow.name)
        if flow.spec.entrypoint is not None:
            values = _parameters_of(built, values)
        timeout = cluster_times(flow.spec, spec).timeout
        context = {**flow.spec.context, **spec.context}
        return LoadedFlow(built, flow.name, values, context, timeout, held.pop_all())


def _refuse(findings: Sequence[Finding]) -> None:
    if findings:
        raise InvalidSpecError("\n".join(str(finding) for finding in findings))


def _the_run(documents: Documents) -> FlowRunDocument:
    """Give the one FlowRun, or make one for the one Flow."""
    match documents.runs, documents.flows:
        case [run], _:
            return run
        case [], [flow]:
            return FlowRunDocument(flow.file, flow.name, FlowRunSpec(flow_ref=FlowRef(name=flow.name)), flow.namespace)
        case [], flows:
            names = ", ".join(flow.name for flow in flows)
            raise InvalidSpecError(f"there are {len(flows)} Flows ({names}); add a FlowRun that says which one runs")
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
        names = [flow.name for flow in documents.flows]
        elsewhere = reference.name in names
        why = f'the Flow "{reference.name}" is in another namespace than the run, "{run.namespace}"'
        problem = Problem("spec.flowRef.name", why if elsewhere else no_such("Flow", reference.name, names))
        raise InvalidSpecError(f"{Finding(run.file, run.title, problem)}; give the file of the Flow too")
    return flow


def _write_source(spec: FlowSpec, folder: Path) -> None:
    assert spec.source is not None  # noqa: S101 (for the type checker: the caller looked)
    for file in spec.source.files:
        path = folder / file.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(file.content, encoding="utf-8")
