"""The kind configuration with an audit log: what kubeadm and the node's mounts need for it."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from . import audit
from .kind_settings import is_control_plane

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


def write_policy(folder: Path) -> None:
    """Write the audit policy into the folder that `add_audit_log` is given."""
    folder.mkdir()
    (folder / "policy.yaml").write_text(yaml.safe_dump(audit.POLICY))


def add_audit_log(config: Mapping[str, Any], policy: Path) -> Mapping[str, Any]:
    """Return a kind configuration whose control plane writes the audit log, with the policy from this folder."""
    result: dict[str, Any] = {"kind": "Cluster", "apiVersion": "kind.x-k8s.io/v1alpha4", **copy.deepcopy(dict(config))}
    result["nodes"] = result.get("nodes") or [{"role": "control-plane"}]
    for node in result["nodes"]:
        if is_control_plane(node):
            given = [*(result.get("kubeadmConfigPatches") or ()), *(node.get("kubeadmConfigPatches") or ())]
            node["kubeadmConfigPatches"] = [*(node.get("kubeadmConfigPatches") or ()), *kubeadm_patches(given)]
            node["extraMounts"] = [
                *(node.get("extraMounts") or ()),
                {"hostPath": str(policy), "containerPath": POLICY_FOLDER, "readOnly": True},
            ]
    return result


def kubeadm_patches(given: Sequence[str] = ()) -> list[str]:
    """Return one patch for each version of kubeadm's configuration; kind applies the one that fits its own.

    A patch replaces whole lists, so that ours repeat what the given patches have put into them.
    """
    volumes = [*_given_list(given, "extraVolumes"), *VOLUMES]
    listed = [{"name": name, "value": value} for name, value in ARGUMENTS.items()]
    arguments: Mapping[str, Any] = {"v1beta3": ARGUMENTS, "v1beta4": [*_given_list(given, "extraArgs"), *listed]}
    return [
        json.dumps(
            {
                "kind": "ClusterConfiguration",
                "apiVersion": f"kubeadm.k8s.io/{version}",
                "apiServer": {"extraArgs": arguments[version], "extraVolumes": volumes},
            }
        )
        for version in arguments
    ]


def _given_list(patches: Sequence[str], field: str) -> list[Any]:
    """Return what patches of the cluster's configuration put into a list of the API server's."""
    documents = [document for patch in patches for document in yaml.safe_load_all(patch) if document]
    lists = [
        (document.get("apiServer") or {}).get(field)
        for document in documents
        if document.get("kind") == "ClusterConfiguration"
    ]
    return [item for found in lists if isinstance(found, list) for item in found]
