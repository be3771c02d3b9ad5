"""Small specs and modules for tests of loading."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from flowkiln.api.flow import FlowSpec
from flowkiln.api.validation import check_flow, parse_flow_spec
from flowkiln.loading.import_path import ImportPath


def flow_spec(yaml_text: str) -> FlowSpec:
    """Read a spec that is valid in the eyes of the operator."""
    spec, problems = parse_flow_spec(yaml.safe_load(textwrap.dedent(yaml_text)))
    assert spec is not None, problems
    assert not check_flow(spec)
    return spec


def in_namespace(namespace: str, document: Mapping[str, Any]) -> dict[str, Any]:
    """The same document with a namespace written in it."""
    return {**document, "metadata": {**document["metadata"], "namespace": namespace}}


def flow_document(name: str, **spec: Any) -> dict[str, Any]:
    """A Flow as it stands in a file; its one task calls `os:getcwd` unless `spec` says more."""
    if "tasks" not in spec and "entrypoint" not in spec:
        spec["tasks"] = [{"name": "here", "function": "os:getcwd"}]
    return {"apiVersion": "flowkiln.dev/v1alpha1", "kind": "Flow", "metadata": {"name": name}, "spec": spec}


def run_document(name: str, **spec: Any) -> dict[str, Any]:
    """A FlowRun as it stands in a file."""
    return {"apiVersion": "flowkiln.dev/v1alpha1", "kind": "FlowRun", "metadata": {"name": name}, "spec": spec}


def write_documents(path: Path, *documents: Mapping[str, Any]) -> Path:
    """Write documents into one YAML file."""
    path.write_text(yaml.safe_dump_all(documents))
    return path


@contextmanager
def modules(folder: Path, **sources: str) -> Iterator[Path]:
    """Write modules into a folder that is importable inside of the block."""
    for name, source in sources.items():
        (folder / f"{name}.py").write_text(textwrap.dedent(source))
    path = ImportPath(folder)
    try:
        yield folder
    finally:
        path.close()
