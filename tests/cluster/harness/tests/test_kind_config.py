"""The kind configuration with an audit log."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.cluster.harness.kind_config import add_audit_log

POLICY = Path("/policy")


def patches(config: Any) -> list[Any]:
    """Return kubeadm's patches of every node."""
    return [json.loads(patch) for node in config["nodes"] for patch in node.get("kubeadmConfigPatches", [])]


def test_default_is_one_node_that_writes_an_audit_log() -> None:
    """Without a configuration there is one node, and each version of kubeadm's format has its patch."""
    config = add_audit_log({}, POLICY)
    assert (config["kind"], config["apiVersion"]) == ("Cluster", "kind.x-k8s.io/v1alpha4")
    assert [node["role"] for node in config["nodes"]] == ["control-plane"]
    assert [patch["apiVersion"] for patch in patches(config)] == ["kubeadm.k8s.io/v1beta3", "kubeadm.k8s.io/v1beta4"]


def test_formats_differ_in_their_arguments() -> None:
    """Arguments are a map in kubeadm's v1beta3 and a list in v1beta4; both say the same."""
    old, new = (patch["apiServer"]["extraArgs"] for patch in patches(add_audit_log({}, POLICY)))
    assert old == {argument["name"]: argument["value"] for argument in new}
    assert "audit-policy-file" in old


def test_given_configuration_stays() -> None:
    """What a user's file says is kept; workers get nothing of ours, and the given values are not modified."""
    given: dict[str, Any] = {
        "networking": {"ipFamily": "ipv4"},
        "nodes": [
            {"role": "control-plane", "image": "node:1", "kubeadmConfigPatches": ["kind: InitConfiguration"]},
            {"role": "worker", "image": "node:1"},
        ],
    }
    config = add_audit_log(given, POLICY)
    first, second = config["nodes"]
    assert config["networking"] == {"ipFamily": "ipv4"}
    assert first["image"] == "node:1"
    assert first["kubeadmConfigPatches"][0] == "kind: InitConfiguration"
    assert len(first["kubeadmConfigPatches"]) == 3
    assert second == {"role": "worker", "image": "node:1"}
    assert len(given["nodes"][0]["kubeadmConfigPatches"]) == 1


def test_lists_of_a_given_patch_are_kept() -> None:
    """A merge patch replaces lists, so ours carry the volumes and arguments that the user's file adds."""
    volume = {"name": "extra", "hostPath": "/extra", "mountPath": "/extra"}
    patch = json.dumps(
        {"kind": "ClusterConfiguration", "apiServer": {"extraVolumes": [volume], "extraArgs": {"v": "5"}}}
    )
    config = add_audit_log({"kubeadmConfigPatches": [patch], "nodes": [{"role": "control-plane"}]}, POLICY)
    old, new = patches(config)
    for ours in (old, new):
        assert [found["name"] for found in ours["apiServer"]["extraVolumes"]] == ["extra", "audit-policy", "audit-log"]
