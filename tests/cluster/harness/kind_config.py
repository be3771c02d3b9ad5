"""The kind configuration with an audit log: what kubeadm and the node's mounts need for it."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from . import audit

POLICY_FOLDER = "/etc/kubernetes/flowkiln-audit"
LOG_FOLDER = "/var/log/kubernetes"
AUDIT_LOG = f"{LOG_FOLDER}/flowkiln-audit.log"

ARGUMENTS: Mapping[str, str] = {
    "audit-policy-file": f"{POLICY_FOLDER}/policy.yaml",
    "audit-log-path": AUDIT_LOG,
    "audit-log-maxsize": "2000",
}
VOLUMES: list[Mapping[str, Any]] = [
    {"name": "audit-policy", "hostPath": POLICY_FOLDER, "mountPath": POLICY_FOLDER, "readOnly": True},
    {
        "name": "audit-log",
        "hostPath": LOG_FOLDER,
        "mountPath": LOG_FOLDER,
        "readOnly": False,
        "pathType": "DirectoryOrCreate",
    },
]


def with_audit_log(config: Mapping[str, Any], folder: Path) -> Mapping[str, Any]:
    """Return a kind configuration with the audit log added; writes the policy into a folder below `folder`."""
    policy = folder / "audit-policy"
    policy.mkdir(exist_ok=True)
    (policy / "policy.yaml").write_text(yaml.safe_dump(audit.POLICY))
    return add_audit_log(config, policy)


def add_audit_log(config: Mapping[str, Any], policy: Path) -> Mapping[str, Any]:
    """Return a kind configuration whose control plane writes the audit log, with the policy from this folder."""
    result: dict[str, Any] = {"kind": "Cluster", "apiVersion": "kind.x-k8s.io/v1alpha4", **copy.deepcopy(dict(config))}
    nodes = result.setdefault("nodes", [{"role": "control-plane"}])
    for node in nodes:
        if node.get("role", "control-plane") == "control-plane":
            node.setdefault("kubeadmConfigPatches", []).extend(kubeadm_patches())
            node.setdefault("extraMounts", []).append(
                {"hostPath": str(policy), "containerPath": POLICY_FOLDER, "readOnly": True}
            )
    return result


def kubeadm_patches() -> list[str]:
    """Return one patch for each version of kubeadm's configuration; kind applies the one that fits its own."""
    old_arguments: Any = dict(ARGUMENTS)
    new_arguments: Any = [{"name": name, "value": value} for name, value in ARGUMENTS.items()]
    return [
        json.dumps(
            {
                "kind": "ClusterConfiguration",
                "apiVersion": f"kubeadm.k8s.io/{version}",
                "apiServer": {"extraArgs": arguments, "extraVolumes": VOLUMES},
            }
        )
        for version, arguments in (("v1beta3", old_arguments), ("v1beta4", new_arguments))
    ]
