"""The generated CustomResourceDefinitions."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from flowkiln.api.crds import FLOW, FLOW_RUN, RESOURCES, CustomResource, custom_resource_definition, main, render
from tests.charts.rendering import LOADER

MAX_BYTES = 200_000
"""Client-side `kubectl apply` keeps a copy in an annotation, which holds 256 KiB."""


def fields(schema: dict[str, Any], path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Give all schemas below one, with their paths."""
    yield path, schema
    for name, inner in schema.get("properties", {}).items():
        yield from fields(inner, f"{path}.{name}")
    for key in ("items", "additionalProperties"):
        if isinstance(schema.get(key), dict):
            yield from fields(schema[key], f"{path}[]")


def schema_of(resource: CustomResource) -> dict[str, Any]:
    """Give the schema of a kind."""
    (version,) = custom_resource_definition(resource)["spec"]["versions"]
    schema = version["schema"]["openAPIV3Schema"]
    assert isinstance(schema, dict)
    return schema


@pytest.mark.parametrize("resource", RESOURCES, ids=lambda resource: resource.kind)
def test_the_repository_has_what_the_models_say(resource: CustomResource) -> None:
    """The files in crds/ are not stale."""
    path = Path(__file__).parents[3] / "crds" / resource.file_name
    assert path.read_text(encoding="utf-8") == render(resource), "run `make generate`"


@pytest.mark.parametrize("resource", RESOURCES, ids=lambda resource: resource.kind)
def test_every_field_is_described_and_typed_as_the_design_wants(resource: CustomResource) -> None:
    """Each field has a description; there are no floats and no nulls; named lists are maps."""
    for path, schema in fields(schema_of(resource), resource.kind):
        assert schema.get("type") != "number", path
        assert "nullable" not in schema, path
        assert "default" not in schema or path == "FlowRun.status", path
        if not path.endswith("[]") and ".metadata" not in path:
            assert schema.get("description"), path
        if schema.get("type") == "array":
            assert schema["x-kubernetes-list-type"] in ("map", "set", "atomic"), path


def test_enums_are_camel_case() -> None:
    """Enum values begin with a capital and have no separators."""
    for path, schema in (*fields(schema_of(FLOW), "Flow"), *fields(schema_of(FLOW_RUN), "FlowRun")):
        for value in schema.get("enum", ()):
            assert value[0].isupper(), path
            assert value.isalpha(), path


def test_status_of_tasks_is_atomic_and_conditions_are_a_map() -> None:
    """Server-side apply of thousands of task runs stays cheap, and several writers can own conditions."""
    status = schema_of(FLOW_RUN)["properties"]["status"]["properties"]
    assert status["tasks"]["x-kubernetes-list-type"] == "atomic"
    assert status["conditions"]["x-kubernetes-list-map-keys"] == ["type"]


@pytest.mark.parametrize("resource", RESOURCES, ids=lambda resource: resource.kind)
def test_files_can_be_applied_by_kubectl(resource: CustomResource) -> None:
    """The text is plain YAML without anchors, and small enough for kubectl's annotation."""
    text = render(resource)
    assert yaml.load(text, Loader=LOADER) == custom_resource_definition(resource)
    assert len(text) < MAX_BYTES
    assert "&id" not in text


def test_check_tells_a_stale_file_and_changes_nothing(tmp_path: Path) -> None:
    """`--check` fails before and passes after generating, and fails again when somebody edits a file."""
    runner = CliRunner()
    missing = runner.invoke(main, ["--check", str(tmp_path)])
    assert missing.exit_code == 1
    assert "run `make generate`" in missing.output
    assert list(tmp_path.iterdir()) == []
    assert runner.invoke(main, [str(tmp_path)]).exit_code == 0
    assert runner.invoke(main, ["--check", str(tmp_path)]).exit_code == 0
    (tmp_path / FLOW.file_name).write_text("edited")
    edited = runner.invoke(main, ["--check", str(tmp_path)])
    assert edited.exit_code == 1
    assert FLOW.file_name in edited.output
    assert FLOW_RUN.file_name not in edited.output
