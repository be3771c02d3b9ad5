"""`FlowRun.status`: the operator's part at the top, the agent's part in `flow` and `tasks`.

The two write with different field managers and never touch each other's fields, but for the end of a run that the
agent did not report: then the operator takes over the agent's part by force.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from flowkiln.api.flow_run import Timestamp
from flowkiln.api.limits import MAX_INDEXES, MAX_MESSAGE, MAX_STATES, MAX_TASKS, MAX_TRACEBACK, MAX_UID
from flowkiln.api.model import LIST_ATOMIC, Model, ObjectName, any_of, list_map_by, listed
from flowkiln.api.reasons import ConditionStatus, ConditionType, FlowReason, FlowState, RunState

INDEXES_PATTERN = r"^([0-9]+(-[0-9]+)?(,[0-9]+(-[0-9]+)?)*)?$"

Number = Annotated[int, Field(strict=True, ge=0)]
StateName = Annotated[str, Field(min_length=1, max_length=63)]
Message = Annotated[str, Field(max_length=MAX_MESSAGE)]
Traceback = Annotated[str, Field(max_length=MAX_TRACEBACK)]
Counts = dict[StateName, Number]


class Condition(Model):
    """One observation about a run, in the form that all of Kubernetes uses."""

    type: Annotated[str, Field(min_length=1, max_length=316)] = Field(description=f"{any_of(ConditionType)}.")
    status: ConditionStatus = Field(description=f"{any_of(ConditionStatus)}.")
    reason: Annotated[str, Field(min_length=1, max_length=1024)] = Field(description="Why, in one CamelCase word.")
    message: Annotated[str, Field(max_length=32_768)] = Field(default="", description="Why, in a sentence.")
    last_transition_time: Timestamp = Field(description="When the status last changed.")
    observed_generation: int | None = Field(
        default=None, strict=True, ge=0, description="The generation of the FlowRun that this is about."
    )


class PlanStatus(Model):
    """What was fixed when the run started."""

    config_map: ObjectName = Field(description="Name of the ConfigMap with the plan.")
    sha256: Annotated[str, Field(max_length=64)] = Field(description="Digest of the plan.")
    flow_generation: Number | None = Field(
        default=None, description="Generation of the Flow that the plan was made of."
    )


class ClusterStatus(Model):
    """The Dask cluster of the run."""

    name: ObjectName = Field(description="Name of the DaskCluster.")
    number: int = Field(strict=True, ge=1, description="How many clusters the run has had, this one included.")


class Holder(Model):
    """The engine process that has claimed the run."""

    pod_uid: Annotated[str, Field(max_length=MAX_UID)] = Field(alias="podUID", description="UID of the scheduler pod.")
    scheduler_id: Annotated[str, Field(max_length=128)] = Field(description="Identity of the Dask scheduler.")


class FlowStatus(Model):
    """The flow run as the engine sees it. The agent writes it."""

    state: FlowState = Field(description=f"{any_of(FlowState)}.")
    reason: FlowReason = Field(description="Why, in one CamelCase word.")
    run_count: Number = Field(default=0, description="How often the flow was run in this FlowRun.")
    message: Message = Field(default="", description="What the flow run is doing, or how it ended.")
    progress: Annotated[str, Field(max_length=32)] = Field(
        default="", description="Finished task runs of all that are known so far, such as 14/37."
    )
    attempt: Number = Field(default=0, description="Number of the cluster that the engine runs on.")
    holder: Holder | None = Field(default=None, description="The engine process that has claimed the run.")
    counts: Counts = Field(
        default={},
        max_length=MAX_STATES,
        # Or the states that the agent named would stay when the operator takes the report over to close it.
        json_schema_extra={"x-kubernetes-map-type": "atomic"},
        description="Number of task runs in each state.",
    )


class ChildIndexes(Model):
    """Which children of a mapped task are in a state."""

    state: StateName = Field(description="The state.")
    indexes: Annotated[str, Field(max_length=MAX_INDEXES, pattern=INDEXES_PATTERN)] = Field(
        description="Their indexes, as numbers and ranges: 1,3-5,7."
    )
    truncated: Annotated[bool, Field(strict=True)] = Field(
        default=False, description="Whether there are more than fit here."
    )


class ChildrenStatus(Model):
    """The children of a mapped task."""

    total: Number = Field(description="Number of children.")
    counts: Counts = Field(default={}, max_length=MAX_STATES, description="Number of children in each state.")
    indexes: tuple[ChildIndexes, ...] = Field(
        default=(),
        max_length=MAX_STATES,
        json_schema_extra=LIST_ATOMIC,
        description="Which children are in which state; Success may be left out.",
    )


class TaskStatus(Model):
    """The last known state of a task run."""

    name: Annotated[str, Field(min_length=1, max_length=63)] = Field(description="Name of the task.")
    state: StateName = Field(description="The state, such as Pending, Running, Mapped, Success or Failed.")
    start_time: Timestamp | None = Field(default=None, description="When the task run started.")
    completion_time: Timestamp | None = Field(default=None, description="When the task run ended.")
    run_count: Number = Field(default=0, description="How often the task's body was run.")
    message: Message | None = Field(default=None, description="What went wrong.")
    traceback: Traceback | None = Field(default=None, description="The end of the traceback, for the first failures.")
    children: ChildrenStatus | None = Field(default=None, description="The children of a mapped task.")


class FlowRunStatus(Model):
    """Everything that is known about a run."""

    observed_generation: Number | None = Field(
        default=None,
        description="The generation of the FlowRun that this status is about; 0 until the operator has seen the run.",
    )
    state: RunState | None = Field(default=None, description=f"{any_of(RunState)}.")
    start_time: Timestamp | None = Field(default=None, description="When the run left Scheduled and Pending.")
    completion_time: Timestamp | None = Field(default=None, description="When the run ended.")
    plan: PlanStatus | None = Field(default=None, description="What was fixed when the run started.")
    cluster: ClusterStatus | None = Field(default=None, description="The Dask cluster of the run.")
    conditions: tuple[Condition, ...] = Field(
        default=(),
        max_length=16,
        json_schema_extra=list_map_by("type"),
        description=f"Conditions for tools: {listed(ConditionType)}.",
    )
    flow: FlowStatus | None = Field(default=None, description="The flow run as the engine sees it.")
    tasks: tuple[TaskStatus, ...] = Field(
        default=(), max_length=MAX_TASKS, json_schema_extra=LIST_ATOMIC, description="The task runs."
    )

    def condition(self, type: str) -> Condition | None:
        """Find a condition by its type."""
        return next((condition for condition in self.conditions if condition.type == type), None)
