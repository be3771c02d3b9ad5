"""Common parts of a run's pods: the restricted profile, and the user's podTemplate with lower precedence."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from flowkiln.api.cluster import ClusterSpec, Resources
from flowkiln.api.names import is_reserved_key
from flowkiln.api.pod_template import PodTemplate
from flowkiln.api.pods import is_reserved_path, is_reserved_variable

from .run import Manifest

USER_ID = 1000
GRACE_PERIOD_SECONDS = 5
NODE_LOSS_SECONDS = 30


def security_context() -> Manifest:
    """Return a container's half of the restricted pod profile."""
    return {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "runAsNonRoot": True,
        "capabilities": {"drop": ["ALL"]},
    }


def pod_security_context() -> Manifest:
    """Return a pod's half of the restricted profile. It sets the user, so images that start as root work too."""
    return {
        "runAsNonRoot": True,
        "runAsUser": USER_ID,
        "runAsGroup": USER_ID,
        "fsGroup": USER_ID,
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def env(values: Mapping[str, str]) -> list[Manifest]:
    """Return environment variables as a list for a container."""
    return [{"name": name, "value": value} for name, value in values.items()]


def env_from_field(name: str, path: str) -> Manifest:
    """Return a variable that holds a field of the pod itself."""
    return {"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}}


def probe(path: str, port: str, *, period: int, failures: int, timeout: int = 5) -> Manifest:
    """Return an HTTP probe; times in seconds. Ports are named: the DaskCluster's schema allows no numbers there."""
    return {
        "httpGet": {"path": path, "port": port},
        "periodSeconds": period,
        "failureThreshold": failures,
        "timeoutSeconds": timeout,
    }


def container(
    name: str,
    cluster: ClusterSpec,
    *,
    image: str,
    args: Sequence[str],
    variables: Sequence[Manifest],
    mounts: Sequence[Manifest],
    resources: Resources | None = None,
    **more: Any,
) -> Manifest:
    """Return a container with the template's environment and mounts where they do not conflict."""
    template = cluster.pod_template
    allowed = [item.to_json() for item in template.env if not is_reserved_variable(item.name)]
    made: Manifest = {
        "name": name,
        "image": image,
        "args": list(args),
        "env": _merge_named(allowed, variables),
        "volumeMounts": _merge_mounts([mount.to_json() for mount in template.volume_mounts], mounts),
        "securityContext": security_context(),
        **more,
    }
    if cluster.image_pull_policy is not None:
        made["imagePullPolicy"] = cluster.image_pull_policy.value
    if env_from := [item.to_json() for item in template.env_from]:
        made["envFrom"] = env_from
    if resources is not None and (document := resources.to_json()):
        made["resources"] = {
            bound: {name: str(amount) for name, amount in amounts.items()} for bound, amounts in document.items()
        }
    return made


def pod_spec(
    cluster: ClusterSpec,
    *,
    service_account: str,
    pull_secrets: Sequence[str],
    containers: Sequence[Manifest],
    volumes: Sequence[Manifest],
) -> Manifest:
    """Return a pod's spec in the restricted profile, with the template's placement and volumes."""
    template = cluster.pod_template
    made: Manifest = {
        "serviceAccountName": service_account,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": GRACE_PERIOD_SECONDS,
        "securityContext": pod_security_context(),
        "tolerations": _tolerations(template),
        "containers": list(containers),
        "volumes": _merge_named([volume.to_json() for volume in template.volumes], volumes),
    }
    if pull_secrets:
        made["imagePullSecrets"] = [{"name": name} for name in pull_secrets]
    if template.node_selector:
        made["nodeSelector"] = dict(template.node_selector)
    if template.affinity:
        made["affinity"] = dict(template.affinity)
    if template.topology_spread_constraints:
        made["topologySpreadConstraints"] = [dict(one) for one in template.topology_spread_constraints]
    if template.priority_class_name:
        made["priorityClassName"] = template.priority_class_name
    return made


def pod_metadata(template: PodTemplate) -> Manifest:
    """Return the template's labels and annotations, without reserved ones."""
    made: Manifest = {}
    if labels := _without_reserved(template.labels):
        made["labels"] = labels
    if annotations := _without_reserved(template.annotations):
        made["annotations"] = annotations
    return made


def _without_reserved(pairs: Mapping[str, str]) -> dict[str, str]:
    return {key: value for key, value in pairs.items() if not is_reserved_key(key)}


def _merge_named(theirs: Iterable[Manifest], ours: Sequence[Manifest]) -> list[Manifest]:
    taken = {item["name"] for item in ours}
    return [item for item in theirs if item["name"] not in taken] + list(ours)


def _merge_mounts(theirs: Iterable[Manifest], ours: Sequence[Manifest]) -> list[Manifest]:
    free = [mount for mount in theirs if not is_reserved_path(mount["mountPath"])]
    return free + list(ours)


def _tolerations(template: PodTemplate) -> list[Manifest]:
    # By default Kubernetes keeps pods on a lost node for five minutes.
    ours = [
        {
            "key": f"node.kubernetes.io/{taint}",
            "operator": "Exists",
            "effect": "NoExecute",
            "tolerationSeconds": NODE_LOSS_SECONDS,
        }
        for taint in ("not-ready", "unreachable")
    ]
    keys = {toleration["key"] for toleration in ours}
    theirs = [item.to_json() for item in template.tolerations if item.key not in keys]
    return theirs + ours
