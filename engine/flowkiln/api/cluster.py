"""`Flow.spec.cluster`: the Dask cluster that a run gets, and what people may say about its pods."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from flowkiln.api.model import (
    LIST_MAP_BY_NAME,
    Duration,
    Model,
    ObjectName,
    Quantity,
    any_of,
)
from flowkiln.api.pod_template import PodTemplate

AnnotationKey = Annotated[str, Field(max_length=317)]
ResourceName = Annotated[str, Field(max_length=317)]
AnnotationValue = Annotated[str, Field(max_length=4096)]


class ImagePullPolicy(StrEnum):
    """When a node pulls the image."""

    ALWAYS = "Always"
    IF_NOT_PRESENT = "IfNotPresent"
    NEVER = "Never"


class LocalObjectReference(Model):
    """The name of an object in the run's namespace."""

    name: ObjectName = Field(description="Name of the object, in the namespace of the run.")


class Resources(Model):
    """Requests and limits of a container."""

    requests: dict[ResourceName, Quantity] = Field(
        default={}, max_length=16, description="Resources that a node must provide, such as {cpu: 500m, memory: 1Gi}."
    )
    limits: dict[ResourceName, Quantity] = Field(
        default={}, max_length=16, description="Maximum usage of the container; it is killed if it exceeds its memory."
    )


class WorkersSpec(Model):
    """The worker pods."""

    replicas: int = Field(default=1, strict=True, ge=1, le=1000, description="Number of worker pods.")
    processes: int = Field(default=1, strict=True, ge=1, le=64, description="Worker processes in each pod.")
    threads: int = Field(
        default=1, strict=True, ge=1, le=256, description="Threads in each process, so task runs at a time."
    )
    ttl: Duration = Field(
        default="60s",
        description="How long a worker may be silent before it counts as lost. "
        "Raise it for code that holds the interpreter lock for long.",
    )
    resources: Resources = Field(default=Resources(), description="Requests and limits of each worker pod.")


class SchedulerSpec(Model):
    """The Dask scheduler, in a pod with the agent."""

    resources: Resources = Field(
        default=Resources(), description="Requests and limits of the Dask scheduler's container."
    )


class AgentSpec(Model):
    """The agent, which runs the engine, in the scheduler's pod."""

    resources: Resources = Field(
        default=Resources(requests={"cpu": "100m", "memory": "128Mi"}),
        description="Requests and limits of the agent's container. "
        "Default: requests of 100m cpu and 128Mi memory, and no limits.",
    )


class ClusterSpec(Model):
    """The Dask cluster that each run of the flow gets for itself."""

    image: str | None = Field(
        default=None,
        min_length=1,
        max_length=512,
        description="Image of scheduler and workers. It must have flowkiln installed, and whatever the tasks import. "
        "Default: the image that the operator is configured with.",
    )
    image_pull_policy: ImagePullPolicy | None = Field(
        default=None, description=f"When nodes pull the image: {any_of(ImagePullPolicy)}. Default: as Kubernetes."
    )
    image_pull_secrets: tuple[LocalObjectReference, ...] = Field(
        default=(),
        max_length=16,
        json_schema_extra=LIST_MAP_BY_NAME,
        description="Secrets with the credentials of private image registries.",
    )
    service_account_name: ObjectName | None = Field(
        default=None,
        description="ServiceAccount of the worker pods. Its token is not mounted. "
        "Default: the run's own ServiceAccount.",
    )
    service_account_annotations: dict[AnnotationKey, AnnotationValue] = Field(
        default={},
        max_length=32,
        description="Annotations for the run's own ServiceAccount, such as those that give it an identity in a cloud.",
    )
    start_deadline: Duration = Field(
        default="5m",
        description="How long the cluster may take from its creation until the engine in it has claimed the run. "
        "After that the run is Crashed, with the problem as its reason.",
    )
    retain_after_failure: Duration = Field(
        default="0s", description="How long the cluster is kept for inspection after the run Failed or Crashed."
    )
    workers: WorkersSpec = Field(default=WorkersSpec(), description="Number and shape of the worker pods.")
    scheduler: SchedulerSpec = Field(default=SchedulerSpec(), description="Shape of the Dask scheduler.")
    agent: AgentSpec = Field(default=AgentSpec(), description="Shape of the agent, which runs the engine.")
    pod_template: PodTemplate = Field(
        default=PodTemplate(),
        description="Additions to scheduler and worker pods. Flowkiln's own settings take precedence.",
    )
