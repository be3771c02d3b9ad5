"""What the API server lets people create and change, and that applying the same thing twice changes nothing."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.harness.commands import CommandError

from .flows import EXAMPLES, Object, make_flow, make_run, make_spec
from .runs import FLOW_RUN, Runs, condition, state

LATER = "2999-01-01T00:00:00Z"
TASK: Object = {"name": "rows", "function": "steps:rows"}
INLINE = make_spec(
    {**TASK, "inputs": [{"name": "value", "value": {"a": 1}}]},
    source={"steps.py": "def rows(value=None):\n    return []\n"},
    parameters=[{"name": "year", "schema": {"minimum": 1}, "default": {"a": 1}}],
    context={"team": "climate"},
)


def refusal(runs: Runs, *arguments: str, input: object = None) -> str:
    """Run kubectl, which has to fail, and return what it says."""
    with pytest.raises(CommandError) as raised:
        runs.kubectl(*arguments, input=None if input is None else json.dumps(input))
    return raised.value.output


def grant(runs: Runs, user: str, *resources: str) -> None:
    """Let somebody create and change these resources of ours in the namespace."""
    name = f"may-{user}"
    rules = [{"apiGroups": ["flowkiln.dev"], "resources": list(resources), "verbs": ["get", "create", "patch"]}]
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name}
    subject = {"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": user}
    group = {"apiVersion": "rbac.authorization.k8s.io/v1", "metadata": {"name": name}}
    runs.apply(
        {**group, "kind": "Role", "rules": rules},
        {**group, "kind": "RoleBinding", "roleRef": reference, "subjects": [subject]},
    )


def test_a_flow_of_ones_own_needs_the_right_to_create_flows(runs: Runs) -> None:
    """Who may only create runs can run the Flows that are there, and cannot bring one along."""
    grant(runs, "runner", "flowruns")
    grant(runs, "author", "flowruns", "flows")
    inline, referring = (
        make_run(name, flow, startTime=LATER) for name, flow in (("inline", INLINE), ("by-name", "years"))
    )
    create = ("create", "--filename=-", "--dry-run=server")
    said = refusal(runs, *create, "--as=runner", input=inline)
    assert "a FlowRun with a flowSpec needs the right to create flows in this namespace" in said
    assert "Forbidden" in said
    runs.kubectl(*create, "--as=runner", input=json.dumps(referring))
    runs.kubectl(*create, "--as=author", input=json.dumps(inline))


CHANGES: dict[str, Mapping[str, Any]] = {
    "flowRef": {"flowRef": {"name": "other"}},
    "parameters, a value": {"parameters": {"year": 2016}},
    "parameters, a deep value": {"parameters": {"place": {"city": "Tacoma"}}},
    "parameters, a key for another": {"parameters": {"year": None, "month": 2015}},
    "parameters, a deep key for another": {"parameters": {"place": {"city": None, "town": "Seattle"}}},
    "parameters, all of them": {"parameters": None},
    "context, a value": {"context": {"team": "other"}},
    "context, a key for another": {"context": {"team": None, "crew": "climate"}},
    "startTime": {"startTime": "2998-01-01T00:00:00Z"},
    "startDeadline": {"startDeadline": "1h"},
    "timeout": {"timeout": "1h"},
}
CHANGES_OF_FLOW: dict[str, Mapping[str, Any]] = {
    "code": {"source": {"files": [{"path": "steps.py", "content": "def rows(value=None):\n    return [1]\n"}]}},
    "a deep key of an input": {"tasks": [{**TASK, "inputs": [{"name": "value", "value": {"b": 1}}]}]},
    "a deep key of a default": {"parameters": [{"name": "year", "schema": {"minimum": 1}, "default": {"b": 1}}]},
    "a key of a schema": {"parameters": [{"name": "year", "schema": {"maximum": 1}, "default": {"a": 1}}]},
    "a key of the context": {"context": {"team": None, "crew": "climate"}},
    "a setting": {"timeout": "1h"},
}


def test_what_a_run_runs_cannot_be_changed(runs: Runs) -> None:
    """Refused by name, whatever field it is and however deep the difference; what may change still may."""
    given = {"parameters": {"year": 2015, "place": {"city": "Seattle"}}, "context": {"team": "climate"}}
    runs.apply(make_run("by-name", "years", startTime=LATER, **given), make_run("inline", INLINE, startTime=LATER))
    before = {name: runs.flow_run(name)["spec"] for name in ("by-name", "inline")}
    changes = {
        **{f"by-name: {what}": ("by-name", what.split(",")[0], spec) for what, spec in CHANGES.items()},
        **{f"inline: {what}": ("inline", "flowSpec", {"flowSpec": spec}) for what, spec in CHANGES_OF_FLOW.items()},
    }
    for name, field, spec in changes.values():
        said = refusal(runs, "patch", FLOW_RUN, name, "--type=merge", f"--patch={json.dumps({'spec': spec})}")
        assert f"{field} cannot be changed" in said, spec
    assert {name: runs.flow_run(name)["spec"] for name in before} == before
    for name in before:
        runs.patch(name, {"ttlAfterFinished": "1h"})
        runs.patch(name, {"terminate": "Immediate"})
        assert state(runs.finish(name)) == "Cancelled"


def test_the_largest_flow_can_be_brought_along_and_terminated(runs: Runs) -> None:
    """Comparing it with itself stays within what the API server spends on admission."""
    tasks = [{"name": f"task-{number}", "function": "steps:rows"} for number in range(1000)]
    code = "# " + "x" * (127 * 1024) + "\ndef rows():\n    return []\n"
    parameters = [
        {"name": f"parameter_{number}", "default": {f"key-{key}": key for key in range(100)}} for number in range(60)
    ]
    spec = make_spec(*tasks, source={"steps.py": code}, parameters=parameters)
    runs.kubectl("create", "--filename=-", input=json.dumps(make_run("large", spec, startTime=LATER)))
    runs.patch("large", {"terminate": "Immediate"})
    assert state(runs.finish("large")) == "Cancelled"


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*/*.yaml")), ids=lambda path: f"{path.parent.name}/{path.name}")
def test_applying_an_example_twice_changes_nothing(runs: Runs, path: Path) -> None:
    """`kubectl apply` says that it is unchanged, and its generation stays what it was."""
    runs.kubectl("apply", f"--filename={path}")
    first = json.loads(runs.kubectl("get", f"--filename={path}", "--output=json"))
    said = runs.kubectl("apply", f"--filename={path}")
    assert said.strip().endswith("unchanged")
    second = json.loads(runs.kubectl("get", f"--filename={path}", "--output=json"))
    assert second["metadata"]["generation"] == first["metadata"]["generation"] == 1
    assert second["metadata"]["uid"] == first["metadata"]["uid"]
    runs.kubectl("apply", "--server-side", "--force-conflicts", f"--filename={path}")
    third = json.loads(runs.kubectl("get", f"--filename={path}", "--output=json"))
    assert third["metadata"]["generation"] == 1


def test_kubectl_wait_for_finished_ends_when_a_run_fails(runs: Runs) -> None:
    """Exit code 0 for Finished, whatever the end is: a script then looks at Succeeded, and does not hang."""
    runs.apply(make_flow("years", TASK), make_run("invalid", "years", parameters={"no": "such"}))
    runs.kubectl("wait", "--for=condition=Finished", f"{FLOW_RUN}/invalid", "--timeout=360s")
    runs.kubectl("wait", "--for=condition=Stalled", f"{FLOW_RUN}/invalid", "--timeout=90s")
    runs.kubectl("wait", "--for=condition=Succeeded=false", f"{FLOW_RUN}/invalid", "--timeout=90s")
    assert condition(runs.flow_run("invalid"), "Succeeded")["reason"] == "InvalidSpec"
