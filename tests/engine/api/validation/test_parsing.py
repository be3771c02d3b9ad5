"""Documents that are no Flow or FlowRun."""

from __future__ import annotations

from typing import Any

import pytest

from flowkiln.api.validation import parse_flow_run_spec, parse_flow_spec
from tests.engine.api.documents import FULL_FLOW

from .tables import LOAD, flow_problems, run_problems


def test_a_flow_with_every_field_has_no_problems() -> None:
    """No check refuses what the design shows."""
    assert flow_problems(FULL_FLOW) == []


def test_a_run_with_every_field_has_no_problems() -> None:
    """No check refuses a run as the design shows it."""
    run = {
        "flowRef": {"name": "weather"},
        "parameters": {"year": 2015, "unit": "celsius"},
        "context": {"why": "backfill"},
        "startTime": "2030-01-01T00:00:00Z",
        "startDeadline": "10m",
        "timeout": "2h",
        "terminate": "Immediate",
        "ttlAfterFinished": "24h",
    }
    assert run_problems(run, FULL_FLOW) == []


@pytest.mark.parametrize(
    ("document", "sentences"),
    [
        (
            {"tasks": [LOAD | {"retires": {"max": 1}}]},
            ['spec.tasks[0].retires: there is no field "retires"; did you mean "retries"?'],
        ),
        (
            {"tasks": [LOAD], "cluster": {"podTemplate": {"hostNetwork": True}}},
            ['spec.cluster.podTemplate.hostNetwork: there is no field "hostNetwork"'],
        ),
        (
            {"tasks": [LOAD | {"skip_on_upstream_skip": True}]},
            [
                'spec.tasks[0].skip_on_upstream_skip: there is no field "skip_on_upstream_skip"; '
                'did you mean "skipOnUpstreamSkip"?'
            ],
        ),
        (
            {"tasks": [LOAD | {"timeout": 10}]},
            ["spec.tasks[0].timeout: must have a unit: write 10s for seconds, 10m for minutes"],
        ),
        (
            {"tasks": [LOAD], "cluster": {"startDeadline": 1.5}},
            ["spec.cluster.startDeadline: must be text: write a duration such as 90s, 5m, 1h30m or 500ms"],
        ),
        (
            {"tasks": [LOAD | {"after": [5]}], "cluster": {"image": {}}},
            ['spec.tasks[0].after[0]: must be text: write "5", in quotes', "spec.cluster.image: must be text"],
        ),
        ({"tasks": [{"function": "a:b"}]}, ["spec.tasks[0].name: is required"]),
        (
            {"tasks": [LOAD | {"description": "x" * 1025}]},
            ["spec.tasks[0].description: must have at most 1024 characters"],
        ),
        (
            {"tasks": [LOAD | {"name": "Load_It"}]},
            [
                'spec.tasks[0].name: "Load_It" is not allowed: use lower-case letters, digits and dashes, '
                "with a letter or digit at both ends"
            ],
        ),
        (
            {"tasks": [LOAD | {"function": "weather.load"}]},
            ['spec.tasks[0].function: "weather.load" is not allowed: write module:callable, such as weather:extract'],
        ),
        (
            {"tasks": [LOAD], "timeout": "1500ms"},
            ['spec.timeout: "1500ms" is not allowed: write a duration of whole seconds such as 90s, 5m or 1h30m'],
        ),
        (
            {"tasks": [LOAD | {"trigger": {"rule": "SomeFailed", "atLeast": "150%"}}]},
            ['spec.tasks[0].trigger.atLeast: "150%" is not allowed: write a number, or a share such as 50%'],
        ),
        (
            {"tasks": [LOAD], "cluster": {"workers": {"resources": {"limits": {"memory": "2Gb"}}}}},
            [
                'spec.cluster.workers.resources.limits.memory: "2Gb" is not allowed: '
                "write a quantity such as 500m, 2 or 4Gi"
            ],
        ),
        (
            {"tasks": [LOAD], "cluster": {"workers": {"resources": {"limits": {"cpu": 0.5, "memory": True}}}}},
            [
                "spec.cluster.workers.resources.limits.cpu: must be a whole number or text: "
                "write a quantity such as 500m, 2 or 4Gi",
                "spec.cluster.workers.resources.limits.memory: must be a whole number or text: "
                "write a quantity such as 500m, 2 or 4Gi",
            ],
        ),
        (
            {"tasks": [LOAD | {"trigger": {"rule": "SomeFailed", "atLeast": 0.5}}]},
            [
                "spec.tasks[0].trigger.atLeast: must be a whole number or text: write a number, or a share such as 50%",
            ],
        ),
        (
            {"tasks": [LOAD], "cluster": {"workers": {"replicas": 0}}},
            ["spec.cluster.workers.replicas: must be greater than or equal to 1"],
        ),
        (
            {"tasks": [LOAD], "cluster": {"workers": {"replicas": "4"}}},
            ["spec.cluster.workers.replicas: must be a valid integer"],
        ),
        ({"tasks": LOAD}, ["spec.tasks: must be a list: put a dash (-) before it"]),
        ({"tasks": ["load"]}, ["spec.tasks[0]: must be a mapping"]),
        ({"tasks": []}, ["spec.tasks: must have at least 1 item"]),
    ],
)
def test_problems_name_the_field_and_say_what_to_write(document: dict[str, Any], sentences: list[str]) -> None:
    """Each kind of mistake becomes one sentence with the path as people write it."""
    assert flow_problems(document) == sentences


def test_deep_nesting_is_a_sentence() -> None:
    """The path to the bottom would be longer than the message."""
    deep: Any = 1
    for _ in range(500):
        deep = [deep]
    assert flow_problems({"tasks": [LOAD], "context": {"a": deep}}) == [
        "spec.context.a[0][0][0][0][0][0]: is nested too deeply"
    ]


@pytest.mark.parametrize("document", [None, 3, "text", []])
def test_what_is_no_mapping_is_a_problem_and_no_crash(document: object) -> None:
    """Whatever YAML holds in place of a spec, the answer is a sentence."""
    for parse in (parse_flow_spec, parse_flow_run_spec):
        spec, problems = parse(document)
        assert spec is None
        assert [problem.sentence for problem in problems] == ["spec: must be a mapping"]


@pytest.mark.parametrize(
    ("document", "sentences"),
    [
        (
            {"flowRef": {"name": "x"}, "terminate": "Graceful"},
            ["spec.terminate: \"Graceful\" is not allowed: must be 'Immediate'"],
        ),
        ({"flowRef": {"name": "x"}, "startTime": "2025-01-01T00:00:00"}, ["spec.startTime: must have timezone info"]),
        ({}, ["spec: exactly one of flowRef and flowSpec must be given, and none is"]),
        (
            {"flowRef": {"name": "x"}, "flowSpec": {"tasks": [LOAD]}},
            ["spec: flowRef and flowSpec exclude each other; give exactly one of flowRef and flowSpec"],
        ),
        (
            {"flowSpec": {"tasks": [LOAD | {"after": ["laod"]}]}},
            ['spec.flowSpec.tasks[0].after[0]: there is no task "laod"; did you mean "load"?'],
        ),
        ({"flowRef": {"name": "x"}, "timeout": "0s"}, ["spec.timeout: must be at least 1s; leave it out for no limit"]),
        ({"flowRef": {"name": "x"}, "startDeadline": "0s"}, ["spec.startDeadline: must be at least 1s, not 0s"]),
    ],
)
def test_problems_of_runs(document: dict[str, Any], sentences: list[str]) -> None:
    """A run's own mistakes, and those of its inline flow with their full path."""
    assert run_problems(document) == sentences


def test_a_sentence_fits_into_a_condition() -> None:
    """However long a value is, the sentence has at most 1024 characters and one line."""
    (sentence,) = flow_problems({"tasks": [LOAD | {"name": "x\n" * 5000}]})
    assert len(sentence) <= 1024
    assert "\n" not in sentence
