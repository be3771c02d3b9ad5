"""Flows and FlowRuns as plain objects, for tests to apply."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any

import yaml

from tests.cluster.harness.places import CHECKOUT

API_VERSION = "flowkiln.dev/v1alpha1"
EXAMPLES = CHECKOUT / "examples"

Object = dict[str, Any]


def make_flow(name: str, *tasks: Object, source: dict[str, str] | None = None, **spec: Any) -> Object:
    """Return a Flow of these tasks; `source` maps paths to code, which may be indented."""
    return {
        "apiVersion": API_VERSION,
        "kind": "Flow",
        "metadata": {"name": name},
        "spec": make_spec(*tasks, source=source, **spec),
    }


def make_spec(*tasks: Object, source: dict[str, str] | None = None, **spec: Any) -> Object:
    """Return the spec of a Flow."""
    made: Object = dict(spec)
    if tasks:
        made["tasks"] = list(tasks)
    if source:
        made["source"] = {
            "files": [{"path": path, "content": textwrap.dedent(code).lstrip("\n")} for path, code in source.items()]
        }
    return made


def make_run(name: str, flow: str | Object, **spec: Any) -> Object:
    """Return a FlowRun of the Flow of this name, or of an inline spec."""
    which = {"flowRef": {"name": flow}} if isinstance(flow, str) else {"flowSpec": flow}
    return {"apiVersion": API_VERSION, "kind": "FlowRun", "metadata": {"name": name}, "spec": {**which, **spec}}


def example(*path: str) -> Object:
    """Return an object of the examples, such as example("hello", "flow.yaml")."""
    document: Object = yaml.safe_load(Path(EXAMPLES, *path).read_text())
    return document


HELLO = make_flow(
    "hello",
    {"name": "greet", "function": "hello:greet", "inputs": [{"name": "name", "parameter": "name"}]},
    source={"hello.py": "def greet(name):\n    print(f'Hello, {name}!', flush=True)\n"},
    parameters=[{"name": "name", "schema": {"type": "string"}, "default": "world"}],
)
"""One task."""
