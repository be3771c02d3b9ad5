"""Flow and FlowRun documents in YAML files, read as the operator reads them, without importing any code."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar

from flowkiln.api import API_VERSION, GROUP
from flowkiln.api.flow import FlowSpec
from flowkiln.api.flow_run import FlowRunSpec
from flowkiln.api.model import DNS_SUBDOMAIN_PATTERN
from flowkiln.api.names import FLOW_KIND, FLOW_RUN_KIND
from flowkiln.api.validation import Problem, parse_flow_run_spec, parse_flow_spec
from flowkiln.api.validation.problem import no_such
from flowkiln.loading.findings import Finding
from flowkiln.loading.source_nodes import SourceNode
from flowkiln.loading.yaml_text import YamlDocument, YamlError, read_text, read_yaml

_KINDS = (FLOW_KIND, FLOW_RUN_KIND)
_FIELDS = ("apiVersion", "kind", "metadata", "spec", "status")


Spec = TypeVar("Spec", FlowSpec, FlowRunSpec)


@dataclass(frozen=True)
class _Document(Generic[Spec]):
    """A Flowkiln object in a file; `namespace` is empty if the document has none."""

    kind: ClassVar[str]
    file: Path
    name: str
    spec: Spec
    namespace: str = ""
    written: SourceNode | None = None

    @property
    def title(self) -> str:
        """Return kind and name."""
        return f"{self.kind} {self.name!r}"

    def finding(self, problem: Problem) -> Finding:
        """Make a finding of a problem of this document."""
        return Finding.at(self.written, self.file, self.title, problem)


class FlowDocument(_Document[FlowSpec]):
    """A Flow."""

    kind = FLOW_KIND


class FlowRunDocument(_Document[FlowRunSpec]):
    """A FlowRun."""

    kind = FLOW_RUN_KIND


@dataclass(frozen=True, slots=True)
class Identity:
    """The identity of an object in a cluster, valid or not, and its position in a file."""

    kind: str
    namespace: str
    name: str
    file: Path
    written: SourceNode | None = None


@dataclass
class Documents:
    """The documents that were read, and the findings.

    Documents of other kinds are ignored. `identities` has every object with a name, valid or not.
    """

    flows: list[FlowDocument] = field(default_factory=list)
    runs: list[FlowRunDocument] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    identities: list[Identity] = field(default_factory=list)

    def flow(self, name: str, namespace: str) -> FlowDocument | None:
        """Find the Flow with this name that a run in this namespace refers to.

        If either has no namespace, which kubectl may add, only the name counts.
        """
        named = [flow for flow in self.flows if flow.name == name]
        same = (flow for flow in named if flow.namespace == namespace)
        unqualified = (flow for flow in named if not (flow.namespace and namespace))
        return next(chain(same, unqualified), None)


def read_documents(files: Iterable[Path]) -> Documents:
    """Read all Flows and FlowRuns in the files; an invalid one becomes findings."""
    documents = Documents()
    for file in dict.fromkeys(files):
        try:
            contents = read_yaml(read_text(file))
        except OSError as error:
            documents.findings.append(Finding(file, "", Problem("", f"cannot be read ({error.strerror})")))
            continue
        except YamlError as error:
            documents.findings.append(Finding.of_yaml(file, error))
            continue
        before = len(documents.flows) + len(documents.runs) + len(documents.findings)
        for content in contents:
            _read_content(file, content, documents)
        if before == len(documents.flows) + len(documents.runs) + len(documents.findings):
            documents.findings.append(Finding(file, "", Problem("", f"holds no {FLOW_KIND} and no {FLOW_RUN_KIND}")))
    return documents


def _read_content(file: Path, content: YamlDocument, documents: Documents) -> None:
    """Read a document, or the items of a list of them."""
    if not _is_list(content.value):
        _read_document(file, content, documents)
        return
    for position, item in _items(content):
        if _is_list(item.value):
            problem = Problem(f"items[{position}]", "kubectl does not read a list inside a list either")
            documents.findings.append(Finding.at(content.written, file, "", problem))
        else:
            _read_document(file, item, documents)


def _is_list(value: object) -> bool:
    return (
        isinstance(value, Mapping) and str(value.get("kind")).endswith("List") and isinstance(value.get("items"), list)
    )


def _items(content: YamlDocument) -> Iterator[tuple[int, YamlDocument]]:
    written = content.written
    items = written.parts.get("items") if written is not None and isinstance(written.parts, dict) else None
    places = items.parts if items is not None and isinstance(items.parts, list) else None
    for position, value in enumerate(content.value["items"]):
        yield position, YamlDocument(value, None if places is None else places[position])


def _read_document(file: Path, document: YamlDocument, documents: Documents) -> None:
    content, written = document.value, document.written
    if not isinstance(content, Mapping):
        problem = Problem("", "a document must be a mapping of fields to values")
        documents.findings.append(Finding.at(written, file, "", problem))
        return
    version, kind = str(content.get("apiVersion", "")), str(content.get("kind", ""))
    if kind not in _KINDS and version.partition("/")[0] != GROUP:
        return
    name, problems = _frame(content, version, kind, written)
    namespace = _namespace(content)
    title = f"{kind} {name!r}" if name else kind
    if kind in _KINDS and name and "name" in _metadata(content):
        documents.identities.append(Identity(kind, namespace, name, file, written))

    def written_at(path: Sequence[int | str]) -> str | None:
        return None if written is None else written.text_at(("spec", *path))

    if kind == FLOW_KIND and "spec" in content:
        spec, found = parse_flow_spec(content["spec"], written_at=written_at)
        problems += found
        if spec is not None and not problems:
            documents.flows.append(FlowDocument(file, name, spec, namespace, written))
    elif kind == FLOW_RUN_KIND and "spec" in content:
        run_spec, found = parse_flow_run_spec(content["spec"], written_at=written_at)
        problems += found
        if run_spec is not None and not problems:
            documents.runs.append(FlowRunDocument(file, name, run_spec, namespace, written))
    documents.findings += [Finding.at(written, file, title, problem) for problem in problems]


def _metadata(content: Mapping[str, Any]) -> Mapping[str, Any]:
    metadata = content.get("metadata")
    return metadata if isinstance(metadata, Mapping) else {}


def _namespace(content: Mapping[str, Any]) -> str:
    namespace = _metadata(content).get("namespace")
    return namespace if isinstance(namespace, str) else ""


def _frame(
    content: Mapping[str, Any], version: str, kind: str, written: SourceNode | None
) -> tuple[str, list[Problem]]:
    """Check the fields around the spec, and return the object's name (or its generateName)."""
    problems = []
    if version != API_VERSION:
        problems.append(Problem("apiVersion", f'must be "{API_VERSION}", not "{version}"'))
    if kind not in _KINDS:
        problems.append(Problem("kind", no_such("kind", kind, _KINDS)))
    problems += [Problem(one, no_such("field", one, _FIELDS)) for one in content if one not in _FIELDS]
    if "spec" not in content:
        problems.append(Problem("spec", "is required"))
    problems += _no_texts(content, written)
    given = _metadata(content)
    name, prefix = given.get("name"), given.get("generateName")
    if name is None and isinstance(prefix, str):
        return prefix.rstrip("-."), problems
    if not isinstance(name, str):
        if name is None:
            problems.append(Problem("metadata.name", "is required, as text"))
        return "", problems
    if len(name) > 253 or not re.match(DNS_SUBDOMAIN_PATTERN, name):
        problems.append(Problem("metadata.name", f'"{name}" is not allowed: write lower-case letters, digits, - and .'))
    return name, problems


def _no_texts(content: Mapping[str, Any], written: SourceNode | None) -> Iterator[Problem]:
    """Find values in the metadata that must be text but are not, such as a label `enabled: yes`."""
    metadata = _metadata(content)
    paths: list[tuple[str, ...]] = [("metadata", key) for key in ("name", "generateName", "namespace")]
    for kind in ("labels", "annotations"):
        values = metadata.get(kind)
        paths += [("metadata", kind, key) for key in (values if isinstance(values, Mapping) else ())]
    for path in paths:
        value: Any = content
        for step in path:
            value = value.get(step)
        if value is not None and not isinstance(value, str):
            text = None if written is None else written.text_at(path)
            shown = text or json.dumps(value)
            yield Problem(".".join(path), f'must be text: write "{shown}", in quotes')
