"""Flow and FlowRun documents in YAML files, checked as the operator checks them, without importing any code."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

import yaml

from flowkiln.api import API_VERSION, GROUP
from flowkiln.api.flow import FLOW_KIND, FlowSpec
from flowkiln.api.flow_run import FLOW_RUN_KIND, FlowRunSpec
from flowkiln.api.model import DNS_SUBDOMAIN_PATTERN
from flowkiln.api.validation import Problem, check_flow, check_flow_run, parse_flow_run_spec, parse_flow_spec
from flowkiln.api.validation.problem import no_such
from flowkiln.loading.yaml_text import complaint, read_yaml

_KINDS = (FLOW_KIND, FLOW_RUN_KIND)
_FIELDS = ("apiVersion", "kind", "metadata", "spec", "status")


@dataclass(frozen=True, slots=True)
class Finding:
    """A problem, and the document that has it."""

    file: Path
    document: str
    problem: Problem

    def __str__(self) -> str:
        sentence = self.problem.sentence if self.problem.field else self.problem.message
        return ": ".join(filter(None, [str(self.file), self.document, sentence]))


@dataclass(frozen=True, slots=True)
class FlowDocument:
    """A Flow; `namespace` is empty where none is written."""

    file: Path
    name: str
    spec: FlowSpec
    namespace: str = ""

    @property
    def title(self) -> str:
        """Kind and name."""
        return f"{FLOW_KIND} {self.name!r}"


@dataclass(frozen=True, slots=True)
class FlowRunDocument:
    """A FlowRun; `namespace` is empty where none is written."""

    file: Path
    name: str
    spec: FlowRunSpec
    namespace: str = ""

    @property
    def title(self) -> str:
        """Kind and name."""
        return f"{FLOW_RUN_KIND} {self.name!r}"


@dataclass
class Documents:
    """What was read, and what could not be. Documents of other kinds are passed over."""

    flows: list[FlowDocument] = field(default_factory=list)
    runs: list[FlowRunDocument] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)

    def flow(self, name: str, namespace: str) -> FlowDocument | None:
        """Find the Flow that a run in this namespace refers to by its name.

        Where either of them writes no namespace, which kubectl may add, the name alone counts.
        """
        named = [flow for flow in self.flows if flow.name == name]
        same = (flow for flow in named if flow.namespace == namespace)
        unsaid = (flow for flow in named if not (flow.namespace and namespace))
        return next(chain(same, unsaid), None)


def read_documents(files: Iterable[Path]) -> Documents:
    """Read all Flows and FlowRuns in the files; what is wrong with one is among the findings instead of it."""
    documents = Documents()
    for file in files:
        try:
            contents = read_yaml(file.read_text(encoding="utf-8"))
        except OSError as error:
            documents.findings.append(Finding(file, "", Problem("", f"cannot be read ({error.strerror})")))
            continue
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            documents.findings.append(Finding(file, "", Problem("", f"is no YAML: {complaint(error)}")))
            continue
        before = len(documents.flows) + len(documents.runs) + len(documents.findings)
        for content in contents:
            _read_document(file, content, documents)
        if before == len(documents.flows) + len(documents.runs) + len(documents.findings):
            documents.findings.append(Finding(file, "", Problem("", f"holds no {FLOW_KIND} and no {FLOW_RUN_KIND}")))
    return documents


def check_documents(documents: Documents) -> list[Finding]:
    """Give the findings of reading and those of the operator's own checks.

    A FlowRun's parameters are compared with its Flow if that is among the documents.
    """
    findings = list(documents.findings)
    for flow in documents.flows:
        findings += [Finding(flow.file, flow.title, problem) for problem in check_flow(flow.spec)]
    for run in documents.runs:
        reference = run.spec.flow_ref
        known = documents.flow(reference.name, run.namespace) if reference is not None else None
        problems = check_flow_run(run.spec, None if known is None else known.spec)
        findings += [Finding(run.file, run.title, problem) for problem in problems]
    return findings


def _read_document(file: Path, content: Any, documents: Documents) -> None:
    if not isinstance(content, Mapping):
        documents.findings.append(Finding(file, "", Problem("", "a document is no mapping of fields to values")))
        return
    version, kind = str(content.get("apiVersion", "")), str(content.get("kind", ""))
    if kind not in _KINDS and version.partition("/")[0] != GROUP:
        return
    name, problems = _frame(content, version, kind)
    namespace = _namespace(content)
    title = f"{kind} {name!r}" if name else kind
    if kind == FLOW_KIND and "spec" in content:
        spec, found = parse_flow_spec(content["spec"])
        problems += found
        if spec is not None and not problems:
            documents.flows.append(FlowDocument(file, name, spec, namespace))
    elif kind == FLOW_RUN_KIND and "spec" in content:
        run_spec, found = parse_flow_run_spec(content["spec"])
        problems += found
        if run_spec is not None and not problems:
            documents.runs.append(FlowRunDocument(file, name, run_spec, namespace))
    documents.findings += [Finding(file, title, problem) for problem in problems]


def _metadata(content: Mapping[str, Any]) -> Mapping[str, Any]:
    metadata = content.get("metadata")
    return metadata if isinstance(metadata, Mapping) else {}


def _namespace(content: Mapping[str, Any]) -> str:
    namespace = _metadata(content).get("namespace")
    return namespace if isinstance(namespace, str) else ""


def _frame(content: Mapping[str, Any], version: str, kind: str) -> tuple[str, list[Problem]]:
    """Check what surrounds the spec, and give the object's name (or what it is to be generated from)."""
    problems = []
    if version != API_VERSION:
        problems.append(Problem("apiVersion", f'must be "{API_VERSION}", not "{version}"'))
    if kind not in _KINDS:
        problems.append(Problem("kind", no_such("kind", kind, _KINDS)))
    problems += [Problem(str(one), no_such("field", str(one), _FIELDS)) for one in content if one not in _FIELDS]
    if "spec" not in content:
        problems.append(Problem("spec", "is required"))
    given = _metadata(content)
    name, prefix = given.get("name"), given.get("generateName")
    if name is None and isinstance(prefix, str):
        return prefix.rstrip("-."), problems
    if not isinstance(name, str):
        problems.append(Problem("metadata.name", "is required, as text"))
        return "", problems
    if len(name) > 253 or not re.match(DNS_SUBDOMAIN_PATTERN, name):
        problems.append(Problem("metadata.name", f'"{name}" is not allowed: write lower-case letters, digits, - and .'))
    return name, problems
