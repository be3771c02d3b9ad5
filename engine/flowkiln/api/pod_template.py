"""`Flow.spec.cluster.podTemplate`: the allow-list of what people may add to a run's pods.

Everything that could weaken a pod's security profile, or take over what Flowkiln sets, is absent on purpose.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from flowkiln.api.model import (
    LIST_ATOMIC,
    LIST_MAP_BY_NAME,
    DataKey,
    DnsLabel,
    FilePath,
    Flag,
    FreeFormObject,
    LabelValue,
    Model,
    ObjectName,
    QualifiedName,
    Quantity,
    any_of,
    list_map_by,
)
from flowkiln.api.pods import RESERVED_NAME, RESERVED_PATHS, RESERVED_VARIABLES, TEMPORARY_DIRECTORY
from flowkiln.common.configuration import ENVIRONMENT_PREFIX

AttributeName = Annotated[str, Field(min_length=1, max_length=317)]
AnnotationText = Annotated[str, Field(max_length=4096)]
EnvName = Annotated[str, Field(min_length=1, max_length=256, pattern=r"^[-._a-zA-Z][-._a-zA-Z0-9]*$")]
FileMode = Annotated[int, Field(strict=True, ge=0, le=511)]


class TolerationOperator(StrEnum):
    """How a toleration compares its value with a taint's."""

    EXISTS = "Exists"
    EQUAL = "Equal"


class TaintEffect(StrEnum):
    """What a taint does to pods that do not tolerate it."""

    NO_SCHEDULE = "NoSchedule"
    PREFER_NO_SCHEDULE = "PreferNoSchedule"
    NO_EXECUTE = "NoExecute"


class Toleration(Model):
    """Lets pods run on nodes with a matching taint."""

    key: QualifiedName | None = Field(
        default=None, description="Key of the taint; none with Exists matches all taints."
    )
    operator: TolerationOperator | None = Field(
        default=None, description=f"{any_of(TolerationOperator)}. Default: Equal."
    )
    value: LabelValue | None = Field(default=None, description="Value of the taint, for Equal.")
    effect: TaintEffect | None = Field(default=None, description="Effect of the taint; none matches all effects.")
    toleration_seconds: int | None = Field(
        default=None, strict=True, ge=0, le=604_800, description="How long a NoExecute taint is tolerated, in seconds."
    )


class KeyToPath(Model):
    """One key of a ConfigMap or Secret, and the file that it becomes."""

    key: DataKey = Field(description="Key in the ConfigMap or Secret.")
    path: FilePath = Field(description="Path of the file, relative to where the volume is mounted.")
    mode: FileMode | None = Field(default=None, description="Permission bits of the file, as a decimal number.")


class PersistentVolumeClaimVolume(Model):
    """A PersistentVolumeClaim as a volume."""

    claim_name: ObjectName = Field(description="Name of the PersistentVolumeClaim, in the namespace of the run.")
    read_only: Flag = Field(default=False, description="Whether the volume is mounted read-only.")


class ConfigMapVolume(Model):
    """A ConfigMap as a volume."""

    name: ObjectName = Field(description="Name of the ConfigMap, in the namespace of the run.")
    items: tuple[KeyToPath, ...] = Field(
        default=(), max_length=64, json_schema_extra=LIST_ATOMIC, description="The keys to mount. Default: all."
    )
    default_mode: FileMode | None = Field(default=None, description="Permission bits of the files.")
    optional: Flag = Field(default=False, description="Whether pods start without it.")


class SecretVolume(Model):
    """A Secret as a volume."""

    secret_name: ObjectName = Field(description="Name of the Secret, in the namespace of the run.")
    items: tuple[KeyToPath, ...] = Field(
        default=(), max_length=64, json_schema_extra=LIST_ATOMIC, description="The keys to mount. Default: all."
    )
    default_mode: FileMode | None = Field(default=None, description="Permission bits of the files.")
    optional: Flag = Field(default=False, description="Whether pods start without it.")


class EmptyDirMedium(StrEnum):
    """What an emptyDir is kept on, when not on the node's disk."""

    MEMORY = "Memory"


class EmptyDirVolume(Model):
    """A folder that lives as long as its pod."""

    medium: EmptyDirMedium | None = Field(default=None, description="Memory for a tmpfs. Default: the node's disk.")
    size_limit: Quantity | None = Field(default=None, description="The most that it may hold, such as 1Gi.")


class CSIVolume(Model):
    """A volume of a CSI driver that lives as long as its pod."""

    driver: ObjectName = Field(description="Name of the CSI driver.")
    read_only: Flag = Field(default=False, description="Whether the volume is read-only.")
    fs_type: Annotated[str, Field(max_length=63)] | None = Field(default=None, description="File system to mount.")
    volume_attributes: dict[AttributeName, AnnotationText] = Field(
        default={}, max_length=32, description="Settings for the driver."
    )


class Volume(Model):
    """A volume: exactly one of the five kinds."""

    exactly_one = ("persistentVolumeClaim", "configMap", "secret", "emptyDir", "csi")

    name: DnsLabel = Field(description=f"Name, for volumeMounts. Names that start with {RESERVED_NAME} are taken.")
    persistent_volume_claim: PersistentVolumeClaimVolume | None = Field(
        default=None, description="A PersistentVolumeClaim."
    )
    config_map: ConfigMapVolume | None = Field(default=None, description="The keys of a ConfigMap as files.")
    secret: SecretVolume | None = Field(default=None, description="The keys of a Secret as files.")
    empty_dir: EmptyDirVolume | None = Field(default=None, description="A folder that lives as long as its pod.")
    csi: CSIVolume | None = Field(default=None, description="A volume of a CSI driver.")


class VolumeMount(Model):
    """Where a volume appears in the containers."""

    name: DnsLabel = Field(description="Name of the volume.")
    mount_path: FilePath = Field(
        description="Absolute path in the container. "
        f"{TEMPORARY_DIRECTORY} itself is taken, and {', '.join(RESERVED_PATHS)} with all below them."
    )
    sub_path: FilePath | None = Field(default=None, description="Path inside the volume. Default: its root.")
    read_only: Flag = Field(default=False, description="Whether the mount is read-only.")


class KeySelector(Model):
    """One key of a ConfigMap or Secret."""

    name: ObjectName = Field(description="Name of the object, in the namespace of the run.")
    key: DataKey = Field(description="Key in the object.")
    optional: Flag = Field(default=False, description="Whether containers start without it.")


class FieldSelector(Model):
    """A field of the pod itself."""

    field_path: FilePath = Field(description="Path of the field, such as metadata.name or status.podIP.")


class EnvSource(Model):
    """Where the value of an environment variable comes from: exactly one of the three."""

    exactly_one = ("secretKeyRef", "configMapKeyRef", "fieldRef")

    secret_key_ref: KeySelector | None = Field(default=None, description="A key of a Secret.")
    config_map_key_ref: KeySelector | None = Field(default=None, description="A key of a ConfigMap.")
    field_ref: FieldSelector | None = Field(default=None, description="A field of the pod itself.")


class EnvVar(Model):
    """An environment variable of all containers of the run."""

    exactly_one = ("value", "valueFrom")

    name: EnvName = Field(
        description=f"Name of the variable. Names that start with {' or '.join(RESERVED_VARIABLES)} are taken, "
        f"but for settings of Flowkiln ({ENVIRONMENT_PREFIX}…)."
    )
    value: Annotated[str, Field(max_length=32_768)] | None = Field(default=None, description="The value itself.")
    value_from: EnvSource | None = Field(default=None, description="Where the value comes from.")


class EnvFromReference(Model):
    """A ConfigMap or Secret whose keys all become environment variables."""

    name: ObjectName = Field(description="Name of the object, in the namespace of the run.")
    optional: Flag = Field(default=False, description="Whether containers start without it.")


class EnvFrom(Model):
    """All keys of a ConfigMap or Secret as environment variables: exactly one of the two."""

    exactly_one = ("configMapRef", "secretRef")

    prefix: Annotated[str, Field(max_length=256)] | None = Field(
        default=None, description="What each variable's name starts with."
    )
    config_map_ref: EnvFromReference | None = Field(default=None, description="The ConfigMap.")
    secret_ref: EnvFromReference | None = Field(default=None, description="The Secret.")


class PodTemplate(Model):
    """What people may add to scheduler and worker pods of a run."""

    labels: dict[QualifiedName, LabelValue] = Field(default={}, max_length=32, description="Labels of the pods.")
    annotations: dict[QualifiedName, AnnotationText] = Field(
        default={}, max_length=32, description="Annotations of the pods."
    )
    node_selector: dict[QualifiedName, LabelValue] = Field(
        default={}, max_length=32, description="Labels that a node must have."
    )
    tolerations: tuple[Toleration, ...] = Field(
        default=(), max_length=32, json_schema_extra=LIST_ATOMIC, description="Taints of nodes that the pods tolerate."
    )
    affinity: FreeFormObject = Field(
        default={},
        max_length=3,
        description="nodeAffinity, podAffinity and podAntiAffinity, as in a Pod's spec.",
    )
    topology_spread_constraints: tuple[FreeFormObject, ...] = Field(
        default=(),
        max_length=16,
        json_schema_extra=LIST_ATOMIC,
        description="How the pods spread over zones and nodes, as in a Pod's spec.",
    )
    priority_class_name: ObjectName | None = Field(default=None, description="PriorityClass of the pods.")
    volumes: tuple[Volume, ...] = Field(
        default=(), max_length=32, json_schema_extra=LIST_MAP_BY_NAME, description="Volumes of the pods."
    )
    volume_mounts: tuple[VolumeMount, ...] = Field(
        default=(),
        max_length=64,
        json_schema_extra=list_map_by("mountPath"),
        description="Where the volumes appear in every container.",
    )
    env: tuple[EnvVar, ...] = Field(
        default=(),
        max_length=128,
        json_schema_extra=LIST_MAP_BY_NAME,
        description="Environment variables of every container.",
    )
    env_from: tuple[EnvFrom, ...] = Field(
        default=(),
        max_length=16,
        json_schema_extra=LIST_ATOMIC,
        description="ConfigMaps and Secrets whose keys become environment variables of every container.",
    )
