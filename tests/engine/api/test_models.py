"""What all API models have in common."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from flowkiln.api.flow import FlowSpec, ParameterSpec, TaskSpec
from flowkiln.api.flow_run import IMMUTABLE_FIELDS, MUTABLE_FIELDS, FlowRunSpec
from flowkiln.api.status import Condition, FlowRunStatus, Holder

FULL_FLOW = {
    "description": "Monthly summaries",
    "parameters": [
        {"name": "year", "schema": {"type": "integer"}, "default": 2015},
        {"name": "unit", "schema": {"enum": ["celsius", "fahrenheit"]}},
        {"name": "note", "optional": True},
    ],
    "source": {"files": [{"path": "weather.py", "content": "def extract(year): ...\n"}]},
    "tasks": [
        {
            "name": "extract",
            "function": "weather:extract",
            "inputs": [
                {"name": "year", "parameter": "year"},
                {"name": "token", "valueFrom": {"secretKeyRef": {"name": "api", "key": "token"}}},
                {"name": "options", "value": {"depth": [1, None, 2.5]}},
            ],
            "retries": {"max": 3, "delay": "10s", "backoffFactor": 2, "maxDelay": "5m", "jitterPercent": 10},
            "timeout": "5m",
        },
        {
            "name": "summarise",
            "function": "weather:summarise",
            "inputs": [{"name": "rows", "task": "extract", "map": True}],
            "trigger": {"rule": "SomeSuccessful", "atLeast": "50%", "atMost": 7},
            "tags": ["heavy"],
            "stateHandlers": ["weather:notify"],
        },
        {
            "name": "notify",
            "command": ["sh", "-c", "echo done"],
            "after": ["summarise"],
            "trigger": {"rule": "AllFinished"},
            "skipOnUpstreamSkip": False,
        },
    ],
    "referenceTasks": ["summarise"],
    "stateHandlers": ["weather:flow_changed"],
    "context": {"team": "climate", "nothing": None},
    "timeout": "2h",
    "cluster": {
        "image": "registry.example/weather:1",
        "imagePullPolicy": "IfNotPresent",
        "imagePullSecrets": [{"name": "pull"}],
        "serviceAccountAnnotations": {"example.org/role": "reader"},
        "startDeadline": "5m",
        "retainAfterFailure": "0s",
        "workers": {
            "replicas": 4,
            "processes": 1,
            "threads": 2,
            "ttl": "60s",
            "resources": {"requests": {"cpu": 1, "memory": "2Gi"}, "limits": {"memory": "4Gi"}},
        },
        "scheduler": {"resources": {"requests": {"cpu": "100m"}}},
        "podTemplate": {
            "labels": {"team": "climate"},
            "nodeSelector": {"disk": "ssd"},
            "tolerations": [{"key": "gpu", "operator": "Exists", "effect": "NoSchedule"}],
            "affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": []}}},
            "topologySpreadConstraints": [{"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "ScheduleAnyway"}],
            "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}],
            "volumeMounts": [{"name": "data", "mountPath": "/data", "readOnly": True}],
            "env": [
                {"name": "MODE", "value": "fast"},
                {"name": "KEY", "valueFrom": {"secretKeyRef": {"name": "api", "key": "key"}}},
            ],
            "envFrom": [{"configMapRef": {"name": "settings"}}],
        },
    },
}
"""Every field of a Flow, valid."""


def test_what_was_read_is_written_unchanged() -> None:
    """A document survives reading and writing: no defaults appear, no field and no null inside of a value is lost."""
    assert FlowSpec.model_validate(FULL_FLOW).to_json() == FULL_FLOW


def test_unwritten_fields_have_the_documented_defaults() -> None:
    """The defaults of the design hold for a flow that says nothing about them."""
    cluster = FlowSpec(entrypoint="a:b").cluster
    run = FlowRunSpec.model_validate({"flowRef": {"name": "x"}})
    assert (cluster.image, cluster.start_deadline, cluster.retain_after_failure) == (None, "5m", "0s")
    workers = cluster.workers
    assert (workers.replicas, workers.processes, workers.threads, workers.ttl) == (1, 1, 1, "60s")
    assert (run.start_deadline, run.timeout, run.ttl_after_finished, run.terminate) == ("10m", None, None, None)


def test_a_null_counts_as_a_field_that_was_not_written() -> None:
    """`after:` with nothing behind it in YAML is no error, and is not written back."""
    task = TaskSpec.model_validate({"name": "a", "function": "a:b", "after": None, "timeout": None})
    assert task.after == ()
    assert task.to_json() == {"name": "a", "function": "a:b"}


def test_values_cannot_be_changed() -> None:
    """Models are frozen, so that nobody changes what another reads."""
    task = TaskSpec(name="a", function="a:b")
    with pytest.raises(ValidationError, match="frozen"):
        task.name = "b"  # type: ignore[misc]


def test_unknown_fields_are_refused() -> None:
    """A misspelt field is an error, never ignored."""
    with pytest.raises(ValidationError, match="retires"):
        TaskSpec.model_validate({"name": "a", "function": "a:b", "retires": {"max": 1}})


@pytest.mark.parametrize("wrong", [{"replicas": "4"}, {"replicas": True}, {"replicas": 4.0}])
def test_types_are_as_strict_as_the_api_server(wrong: dict[str, object]) -> None:
    """A number in quotes is refused on a laptop too, not only by Kubernetes."""
    with pytest.raises(ValidationError):
        FlowSpec.model_validate({"entrypoint": "a:b", "cluster": {"workers": wrong}})


@pytest.mark.parametrize(
    ("document", "required"),
    [
        ({"name": "a"}, True),
        ({"name": "a", "default": 0}, False),
        ({"name": "a", "default": False}, False),
        ({"name": "a", "default": None}, True),
        ({"name": "a", "optional": True}, False),
    ],
)
def test_a_parameter_is_required_unless_it_has_a_default_or_is_optional(
    document: dict[str, object], required: bool
) -> None:
    """Zero and false are defaults, null is none."""
    assert ParameterSpec.model_validate(document).is_required is required


def test_every_field_of_a_run_is_either_mutable_or_immutable() -> None:
    """A new field of FlowRun.spec cannot be forgotten in the immutability rules."""
    fields = [field.alias for field in FlowRunSpec.model_fields.values()]
    assert sorted(fields) == sorted(MUTABLE_FIELDS + IMMUTABLE_FIELDS)


def test_status_is_read_and_written_in_the_words_of_the_design() -> None:
    """Operator's and agent's parts survive reading and writing; podUID keeps its capitals."""
    status = {
        "observedGeneration": 1,
        "state": "Running",
        "startTime": "2025-01-01T00:00:00Z",
        "plan": {"configMap": "a-plan", "sha256": "0" * 64, "flowGeneration": 3},
        "cluster": {"name": "a-c1", "number": 1},
        "conditions": [
            {
                "type": "Finished",
                "status": "False",
                "reason": "Running",
                "message": "",
                "lastTransitionTime": "2025-01-01T00:00:00Z",
                "observedGeneration": 1,
            }
        ],
        "flow": {
            "state": "Running",
            "reason": "Running",
            "runCount": 1,
            "message": "waiting for 4 of 37 task runs",
            "progress": "14/37",
            "attempt": 1,
            "holder": {"podUID": "u", "schedulerId": "s"},
            "counts": {"Success": 14, "Running": 4, "Pending": 19},
        },
        "tasks": [
            {"name": "extract", "state": "Success", "startTime": "2025-01-01T00:00:00Z", "runCount": 2},
            {
                "name": "summarise",
                "state": "Mapped",
                "children": {
                    "total": 30,
                    "counts": {"Success": 26, "Running": 4},
                    "indexes": [{"state": "Running", "indexes": "12-15", "truncated": True}],
                },
            },
            {"name": "load", "state": "Failed", "message": "ValueError: no rows", "traceback": "…"},
        ],
    }
    read = FlowRunStatus.model_validate(status)
    assert read.to_json() == status
    assert read.flow is not None
    assert read.flow.holder == Holder(pod_uid="u", scheduler_id="s")
    finished = read.condition("Finished")
    assert isinstance(finished, Condition)
    assert read.condition("Stalled") is None
