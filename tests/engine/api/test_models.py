"""What all API models have in common."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from flowkiln.api.flow import FlowSpec, ParameterSpec, TaskSpec
from flowkiln.api.flow_run import MUTABLE_FIELDS, FlowRunSpec
from flowkiln.api.status import Condition, FlowRunStatus, Holder

from .documents import AGENT_STATUS, FULL_FLOW, OPERATOR_STATUS


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


def test_every_field_of_a_run_is_fixed_unless_it_is_named_as_mutable() -> None:
    """A new field of FlowRun.spec cannot be forgotten in the immutability rules."""
    fields = {str(field.alias) for field in FlowRunSpec.model_fields.values()}
    assert set(MUTABLE_FIELDS) < fields
    fixed = {message.partition(" ")[0] for rule, message in FlowRunSpec.rules() if "has(oldSelf.terminate)" not in rule}
    assert fixed == fields - set(MUTABLE_FIELDS)


def test_status_is_read_and_written_in_the_words_of_the_design() -> None:
    """Operator's and agent's parts survive reading and writing; podUID keeps its capitals."""
    status = OPERATOR_STATUS | AGENT_STATUS
    read = FlowRunStatus.model_validate(status)
    assert read.to_json() == status
    assert read.flow is not None
    assert read.flow.holder == Holder(pod_uid="8c2f", scheduler_id="Scheduler-1")
    finished = read.condition("Finished")
    assert isinstance(finished, Condition)
    assert read.condition("Stalled") is None
