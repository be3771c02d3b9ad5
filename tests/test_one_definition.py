"""What documents, manifests and the chart repeat of the code, they repeat rightly."""

from __future__ import annotations

import importlib.util
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic.alias_generators import to_snake

from flowkiln.api import GROUP
from flowkiln.api.limits import MAX_MESSAGE, MAX_TRACEBACK
from flowkiln.api.names import FLOW_RUNS, FLOWS, RUN_ACCOUNT_PREFIX
from flowkiln.api.reasons import CONDITIONS_OF_STATE, Reason, RunState
from flowkiln.cli import json_values
from flowkiln.engine import unit_runner
from flowkiln.loading.yaml_values import MAX_DEPTH
from flowkiln_operator.controller.settings import PREFIX, Settings

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"


def rows(page: str, first_heading: str) -> list[list[str]]:
    """Return the cells of the table whose first column has this heading."""
    lines = iter((DOCS / page).read_text("utf-8").splitlines())
    next(line for line in lines if line.startswith(f"| {first_heading} |"))
    next(lines)
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in iter(lambda: next(lines, ""), "")]


def manifests() -> Iterator[dict[str, Any]]:
    """Yield the objects of the kustomize base."""
    for path in sorted((ROOT / "manifests" / "base").rglob("*.yaml")):
        yield from (document for document in yaml.safe_load_all(path.read_text("utf-8")) if document)


@pytest.mark.parametrize("script", ["draw_states", "write_reference"])
def test_generated_pages_are_as_the_code_is(script: str) -> None:
    """A new field, trigger or state is in the documents as soon as it is in the code."""
    spec = importlib.util.spec_from_file_location(script, DOCS / f"{script}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    for name, text in module.page().items():
        assert (DOCS / name).read_text("utf-8") == text, f"{name} is stale; run `make generate`"


def test_the_status_page_explains_every_reason_once() -> None:
    """Whoever looks a reason up finds it."""
    table = rows("status.md", "state")
    reasons = [reason for _, reason, *_ in (row for row in reason_rows()) for reason in reason.split(", ")]
    assert sorted(reasons) == sorted(Reason)
    written = {state: tuple(row[1:]) for row in table for state in row[0].split(", ")}
    assert written == {
        str(state): tuple(str(status) for _, status in statuses.items())
        for state, statuses in CONDITIONS_OF_STATE.items()
    }


def reason_rows() -> list[list[str]]:
    """Return the rows of the table of reasons."""
    text = (DOCS / "status.md").read_text("utf-8")
    found = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in text.partition("## Reasons")[2].partition("##")[0].splitlines()
        if line.startswith("| ")
    ]
    assert {row[0] for row in found[1:]} == {str(state) for state in RunState}
    return found[1:]


def test_the_page_of_run_names_the_limits_of_results() -> None:
    """The numbers in docs/run.md are those of the code."""
    text = (DOCS / "run.md").read_text("utf-8")
    for phrase in (
        f"{json_values.MAX_ELEMENTS:,} elements",
        f"{json_values.MAX_CHARACTERS:,} characters",
        f"{json_values.REPR_LIMIT} characters",
        f"{json_values.MAX_BITS:,} bits",
        f"{json_values.MAX_DEPTH} levels",
    ):
        assert phrase in text
    assert f"{MAX_DEPTH} levels" in (DOCS / "yaml.md").read_text("utf-8")


def test_records_carry_what_a_status_takes() -> None:
    """The engine cuts texts where they are made; the status has room for exactly that."""
    assert (unit_runner.MESSAGE_LIMIT, unit_runner.TRACEBACK_LIMIT) == (MAX_MESSAGE, MAX_TRACEBACK)


def test_the_chart_has_the_defaults_of_the_operator() -> None:
    """A setting means the same whether the chart sets it or nobody does."""
    schema = json.loads((ROOT / "charts/flowkiln/values.schema.json").read_text("utf-8"))
    settings = {to_snake(name): value for name, value in schema["properties"]["settings"]["properties"].items()}
    assert {"run_class", "log_level", "concurrency"} <= settings.keys()
    assert {name: value["default"] for name, value in settings.items()} == {
        name: Settings.model_fields[name].default for name in settings
    }


def test_the_page_of_installing_has_the_defaults_of_the_settings() -> None:
    """Every setting is in docs/install.md with its default, but for the port, which probes rely on."""
    written = {name.strip("`"): default.strip("`") for name, default, _ in rows("install.md", "setting")}
    fields = {f"{PREFIX}{name.upper()}": field for name, field in Settings.model_fields.items() if name != "http_port"}
    assert written.keys() == fields.keys()
    for name, default in written.items():
        empty = fields[name].is_required() or fields[name].default in ((), "")
        assert default in ("", "all") if empty else default == str(fields[name].default)


def test_the_page_of_installing_has_values_of_the_chart() -> None:
    """Each value of the chart that docs/install.md names is there, with that default."""
    values = yaml.safe_load((ROOT / "charts/flowkiln/values.yaml").read_text("utf-8"))
    for names, default, _ in rows("install.md", "value"):
        for name in re.findall(r"`([\w.]+)(?:\.…)?`", names):
            value: Any = values
            for part in name.strip(".").split("."):
                value = value[part]
            if default in ("true", "false"):
                assert value is json.loads(default), name
            elif default[:1].isdigit():
                assert value == json.loads(f"[{default}]"), name


def test_manifests_mean_the_names_that_the_code_has() -> None:
    """Rights and admission policies are about the kinds, accounts and managers that the operator uses."""
    texts = json.dumps([*manifests()])
    assert set(re.findall(r"\bflowkiln\.\w+(?=[\"/])", texts)) <= {GROUP}
    resources = {
        resource.partition("/")[0]
        for document in manifests()
        for rule in document.get("rules") or ()
        if GROUP in rule["apiGroups"]
        for resource in rule["resources"]
    }
    assert resources == {FLOWS, FLOW_RUNS}
    assert f":{RUN_ACCOUNT_PREFIX}" in texts
