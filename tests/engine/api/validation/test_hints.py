"""What people write who know another tool."""

from __future__ import annotations

from typing import Any

import pytest

from flowkiln.api.validation import hints
from flowkiln.triggers import RULES

from .tables import LOAD, flow_problems, run_problems

COPY = {"name": "copy", "command": ["cp"]}


@pytest.mark.parametrize(
    ("task", "field", "hint"),
    [
        ({"trigger": "any_failed"}, "trigger", "must be a mapping: write {rule: AnyFailed}"),
        ({"trigger": "AllFinished"}, "trigger", "must be a mapping: write {rule: AllFinished}"),
        ({"trigger": "all_done"}, "trigger", "must be a mapping: write {rule: AllFinished}"),
        ({"trigger": "checks:ready"}, "trigger", "must be a mapping: write {function: checks:ready}"),
        ({"trigger": {"rule": "one_failed"}}, "trigger.rule", 'did you mean "AnyFailed"?'),
        ({"trigger": {"rule": "all_sucessful"}}, "trigger.rule", 'did you mean "AllSuccessful"?'),
        ({"upstream": ["load"]}, "upstream", "write after: [names of tasks]"),
        ({"upstream_tasks": ["load"]}, "upstream_tasks", "write after: [names of tasks]"),
        ({"depends_on": ["load"]}, "depends_on", "write after: [names of tasks]"),
        ({"dependsOn": ["load"]}, "dependsOn", "write after: [names of tasks]"),
        ({"needs": ["load"]}, "needs", "write after: [names of tasks]"),
        ({"after": "load"}, "after", "must be a list: write [load]"),
        ({"retries": 3}, "retries", "must be a mapping: write {max: 3}"),
        ({"max_retries": 3}, "max_retries", "write retries: {max: 3, delay: 10s}"),
        ({"retryDelay": "5s"}, "retryDelay", "write retries: {max: 3, delay: 10s}"),
        ({"timeout": 60}, "timeout", "must have a unit: write 60s for seconds, 60m for minutes"),
        ({"map": "load"}, "map", "write map: true at the input over whose elements the task runs"),
        ({"mapped": True}, "mapped", "write map: true at the input over whose elements the task runs"),
        ({"inputs": [{"name": "x", "map": "load"}]}, "inputs[0].map", "write task: load, map: true"),
        ({"inputs": [{"name": "x", "from": "load"}]}, "inputs[0].from", "write task: the name of the task"),
        ({"inputs": {"x": 1}}, "inputs", "must be a list: write - {name: x, value: …}, or parameter or task"),
        ({"inputs": {"name": "x"}}, "inputs", "must be a list: put a dash (-) before it"),
        ({"args": [1]}, "args", "write inputs: a list"),
        ({"command": "echo a"}, "command", "must be a list: write [program, argument, …], or [sh, -c, the text]"),
        ({"run": "echo a"}, "run", "write function: module:callable"),
        ({"on_failure": "a:b"}, "on_failure", "write stateHandlers: [module:callable]"),
        ({"state_handlers": ["a:b"]}, "state_handlers", 'did you mean "stateHandlers"?'),
        ({"image": "x"}, "image", "it belongs to the flow: cluster.image"),
        ({"env": {"A": "b"}}, "env", "write cluster.podTemplate.env"),
    ],
)
def test_tasks(task: dict[str, Any], field: str, hint: str) -> None:
    """Each mistake is one sentence at its field, with what to write."""
    (sentence,) = flow_problems({"tasks": [LOAD, COPY | task]})
    assert sentence.startswith(f"spec.tasks[1].{field}: ")
    assert hint in sentence


@pytest.mark.parametrize(
    ("spec", "field", "hint"),
    [
        ({"parameters": {"year": 2015}}, "parameters", "must be a list: write - {name: year, default: …}"),
        ({"parameters": [{"name": "a", "type": "integer"}]}, "parameters[0].type", "schema: {type: integer}"),
        ({"parameters": [{"name": "a", "required": True}]}, "parameters[0].required", "or says optional: true"),
        ({"tasks": {"a": {"command": ["b"]}}}, "tasks", "must be a list: write - {name: a, function: …}"),
        ({"image": "x"}, "image", "it belongs under cluster"),
        ({"params": []}, "params", "write parameters"),
        ({"steps": []}, "steps", "write tasks"),
    ],
)
def test_flows(spec: dict[str, Any], field: str, hint: str) -> None:
    """The same for what surrounds the tasks."""
    (sentence,) = flow_problems({"tasks": [COPY], **spec})
    assert sentence.startswith(f"spec.{field}: ")
    assert hint in sentence


@pytest.mark.parametrize(
    ("spec", "field", "hint"),
    [
        ({"flow": "x"}, "flow", "write flowRef: {name: …}"),
        ({"flowRef": "x"}, "flowRef", "must be a mapping: write {name: x}"),
        ({"flowRef": {"name": "x"}, "params": {}}, "params", "write parameters: {name: value}"),
        ({"flowSpec": {"tasks": [COPY | {"retries": 3}]}}, "flowSpec.tasks[0].retries", "write {max: 3}"),
    ],
)
def test_runs(spec: dict[str, Any], field: str, hint: str) -> None:
    """The same for FlowRuns, and for flows inside of them."""
    (sentence,) = run_problems(spec)
    assert sentence.startswith(f"spec.{field}: ")
    assert hint in sentence


def test_rules_that_are_suggested_exist() -> None:
    """Whoever knows another tool is not sent to a rule that there is not."""
    assert set(hints._RULES_ELSEWHERE.values()) <= RULES.keys()
