"""`FlowRun.spec`: one run of a flow, and what people may still change about it."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import Annotated

from pydantic import AwareDatetime, Field, JsonValue

from flowkiln.api.flow import ContextKey, FlowSpec
from flowkiln.api.model import Duration, Model, ObjectName, WholeSeconds, listed

Timestamp = Annotated[AwareDatetime, Field(json_schema_extra={"maxLength": 40})]


class FlowRef(Model):
    """The Flow that is run."""

    name: ObjectName = Field(description="Name of the Flow, in the namespace of the run.")


class Terminate(StrEnum):
    """How a run is ended."""

    IMMEDIATE = "Immediate"


MUTABLE_FIELDS = ("terminate", "ttlAfterFinished")
"""The fields of a FlowRun's spec that may change after its creation; every other one is fixed."""


def _unchanged(field: str) -> tuple[str, str]:
    """Return the rule that a field stays as it was created, present or absent.

    CEL in a schema compares free-form objects of the same size without noticing that a key was replaced by another;
    in an admission policy it does notice, so one of those has to say the same again for parameters and context.
    """
    rule = f"has(self.{field}) == has(oldSelf.{field}) && (!has(self.{field}) || self.{field} == oldSelf.{field})"
    return rule, f"{field} cannot be changed; only {listed(MUTABLE_FIELDS)} can"


class FlowRunSpec(Model):
    """One run: exactly one of flowRef and flowSpec, and what this run is given."""

    exactly_one = ("flowRef", "flowSpec")

    @classmethod
    def immutable_fields(cls) -> tuple[str, ...]:
        """Return the fields, as they are written, that stay as they were created."""
        written = (field.alias or name for name, field in cls.model_fields.items())
        return tuple(field for field in written if field not in MUTABLE_FIELDS)

    @classmethod
    def rules(cls) -> Iterable[tuple[str, str]]:
        """Refuse changes, but for those of the mutable fields."""
        yield from map(_unchanged, cls.immutable_fields())
        yield (
            "!has(oldSelf.terminate) || has(self.terminate) && self.terminate == oldSelf.terminate",
            "terminate cannot be changed or taken back once it is set",
        )

    flow_ref: FlowRef | None = Field(default=None, description="The Flow to run.")
    flow_spec: FlowSpec | None = Field(
        default=None, description="The spec of a flow for this run alone, instead of flowRef."
    )
    parameters: dict[ContextKey, JsonValue] = Field(
        default={}, max_length=64, description="Values for the flow's parameters. A null counts as not given."
    )
    context: dict[ContextKey, JsonValue] = Field(
        default={}, max_length=64, description="Values that tasks find in flowkiln.context; they override the flow's."
    )
    start_time: Timestamp | None = Field(
        default=None, description="When the run starts; it is Scheduled until then. Default: at once."
    )
    start_deadline: Duration = Field(
        default="10m",
        description="How long the Flow may be missing, counted from creation, or from startTime. "
        "After that the run has Failed.",
    )
    timeout: WholeSeconds | None = Field(
        default=None, description="How long the run may take, in whole seconds. Default: the flow's timeout."
    )
    terminate: Terminate | None = Field(
        default=None,
        description="Set it to Immediate to end the run at once, as Cancelled. It cannot be changed or taken back. "
        "Leave it out of manifests that are kept in Git.",
    )
    ttl_after_finished: Duration | None = Field(
        default=None, description="How long after its end the FlowRun is deleted. It may be changed. Default: never."
    )
