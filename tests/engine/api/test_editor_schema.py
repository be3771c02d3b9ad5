"""The JSON Schemas for editors."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner
from jsonschema import Draft7Validator

from flowkiln.api.crds import FLOW, FLOW_RUN, RESOURCES, CustomResource
from flowkiln.api.editor_schema import DIALECT, editor_schema, file_name, main, render
from flowkiln.api.validation import parse_flow_run_spec, parse_flow_spec

ROOT = Path(__file__).parents[3]
EXAMPLES = sorted((ROOT / "examples").glob("*/*.yaml"))

FLOW_DOCUMENT = {
    "apiVersion": "flowkiln.dev/v1alpha1",
    "kind": "Flow",
    "metadata": {"name": "f", "labels": {"team": "climate"}},
    "spec": {
        "parameters": [{"name": "year", "schema": {"type": "integer", "minimum": 1900}, "default": 2015}],
        "tasks": [
            {"name": "a", "function": "m:a", "inputs": [{"name": "year", "parameter": "year"}], "timeout": "5m"},
            {"name": "b", "command": ["true"], "after": ["a"], "trigger": {"rule": "SomeSuccessful", "atLeast": "50%"}},
        ],
        "context": {"anything": {"goes": [1, None]}},
        "cluster": {"workers": {"replicas": 2, "resources": {"requests": {"cpu": 1, "memory": "2Gi"}}}},
    },
}
RUN_DOCUMENT = {
    "apiVersion": "flowkiln.dev/v1alpha1",
    "kind": "FlowRun",
    "metadata": {"generateName": "f-"},
    "spec": {"flowRef": {"name": "f"}, "parameters": {"year": 2015}, "timeout": "2h"},
}
DOCUMENTS = {"Flow": FLOW_DOCUMENT, "FlowRun": RUN_DOCUMENT}

MISTAKES: list[tuple[str, str, Any]] = [
    ("Flow", "apiVersion", "flowkiln.dev/v1"),
    ("Flow", "spec.taks", []),
    ("Flow", "spec.tasks.0.retries", {"maxx": 3}),
    ("Flow", "spec.tasks.0.timeout", "5 minutes"),
    ("Flow", "spec.tasks.0.function", "no_colon"),
    ("Flow", "spec.tasks.1.trigger", {"rule": "AllSuccesful"}),
    ("Flow", "spec.tasks.1.trigger.atLeast", "150%"),
    ("Flow", "spec.tasks.0.inputs", [{"name": "x", "parameter": "year", "task": "b"}]),
    ("Flow", "spec.entrypoint", "m:flow"),  # beside tasks
    ("Flow", "spec.cluster.workers.replicas", "two"),
    ("FlowRun", "kind", "Flow"),
    ("FlowRun", "spec.flowRef", {"nam": "f"}),
    ("FlowRun", "spec.flowSpec", {"entrypoint": "m:flow"}),  # beside flowRef
    ("FlowRun", "spec.terminate", "Now"),
    ("FlowRun", "spec.parameters", [1]),
]


def errors(kind: str, document: Any) -> list[str]:
    """Return what an editor would underline."""
    resource = {one.kind: one for one in RESOURCES}[kind]
    return [error.message for error in Draft7Validator(editor_schema(resource)).iter_errors(document)]


def changed(document: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """Return the document with another value at a path."""
    made = copy.deepcopy(document)
    *parents, last = path.split(".")
    place: Any = made
    for name in parents:
        place = place[int(name) if name.isdigit() else name]
    place[last] = value
    return made


def subschemas(schema: Any, path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each field's schema and those below, with their paths."""
    for name, field in schema.get("properties", {}).items():
        yield f"{path}.{name}", field
        yield from subschemas(field, f"{path}.{name}")
    for key in ("items", "additionalProperties"):
        if isinstance(schema.get(key), dict):
            yield from subschemas(schema[key], f"{path}[]")


@pytest.mark.parametrize("resource", RESOURCES, ids=lambda resource: resource.kind)
def test_the_repository_has_what_the_models_say(resource: CustomResource) -> None:
    """The files in schemas/ are not stale."""
    path = ROOT / "schemas" / file_name(resource)
    assert path.read_text(encoding="utf-8") == render(resource), "run `make generate`"


@pytest.mark.parametrize("resource", RESOURCES, ids=lambda resource: resource.kind)
def test_it_is_a_schema_that_editors_read(resource: CustomResource) -> None:
    """It is sound by its dialect, without Kubernetes' own words, and says of each field what that is for."""
    schema = editor_schema(resource)
    assert schema["$schema"] == DIALECT == Draft7Validator.META_SCHEMA["$schema"]
    Draft7Validator.check_schema(schema)
    assert "x-kubernetes" not in render(resource)
    for path, field in subschemas(schema):
        assert field.get("description"), path


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: "/".join(path.parts[-2:]))
def test_the_examples_have_no_mistakes(path: Path) -> None:
    """What the project shows people is what their editors accept."""
    for document in yaml.safe_load_all(path.read_text(encoding="utf-8")):
        assert errors(document["kind"], document) == []


@pytest.mark.parametrize("kind", DOCUMENTS)
def test_a_full_document_is_accepted(kind: str) -> None:
    """Free-form values stay free, amounts may be numbers or text, and a status that was fetched does no harm."""
    assert errors(kind, DOCUMENTS[kind]) == []
    assert bool(errors(kind, DOCUMENTS[kind] | {"status": {"state": "Success"}})) is (kind == "Flow")


@pytest.mark.parametrize(("kind", "path", "value"), MISTAKES, ids=[f"{kind} {path}" for kind, path, _ in MISTAKES])
def test_a_mistake_is_underlined(kind: str, path: str, value: Any) -> None:
    """An editor sees it while it is typed, and the operator would refuse it too."""
    document = changed(DOCUMENTS[kind], path, value)
    assert errors(kind, document) != []
    if path.startswith("spec"):
        parse = parse_flow_spec if kind == "Flow" else parse_flow_run_spec
        assert parse(document["spec"])[1] != []


@pytest.mark.parametrize("metadata", [{}, {"namespace": "default"}, {"name": 7}])
def test_an_object_needs_a_name(metadata: Any) -> None:
    """A name or the beginning of one."""
    assert errors("FlowRun", RUN_DOCUMENT | {"metadata": metadata}) != []


def test_the_command_writes_and_checks(tmp_path: Path) -> None:
    """It writes what is missing; --check only complains, and names the file."""
    assert CliRunner().invoke(main, ["--check", str(tmp_path)]).exit_code == 1
    assert CliRunner().invoke(main, [str(tmp_path)]).exit_code == 0
    assert CliRunner().invoke(main, ["--check", str(tmp_path)]).exit_code == 0
    (tmp_path / file_name(FLOW_RUN)).write_text("{}")
    ended = CliRunner().invoke(main, ["--check", str(tmp_path)])
    assert ended.exit_code == 1
    assert file_name(FLOW_RUN) in ended.output
    assert file_name(FLOW) not in ended.output
