"""The settings of the way by kind: what is taken of a configuration, and how a wrong one is told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.cluster.harness.interface import HarnessError
from tests.cluster.harness.kind_config import add_audit_log
from tests.cluster.harness.kind_settings import given_config, usable


def test_ports_of_the_host_are_left_out() -> None:
    """A second cluster of the same configuration would not get them; all else stays, and the given is not modified."""
    given: dict[str, Any] = {
        "networking": {"apiServerPort": 6443, "ipFamily": "ipv4"},
        "nodes": [
            {"role": "control-plane", "extraPortMappings": [{"containerPort": 80, "hostPort": 80}], "labels": {}}
        ],
    }
    assert usable(given) == {"networking": {"ipFamily": "ipv4"}, "nodes": [{"role": "control-plane", "labels": {}}]}
    assert given["networking"]["apiServerPort"] == 6443


@pytest.mark.parametrize("nodes", [None, []], ids=["null", "empty"])
def test_no_nodes_are_the_usual_one(nodes: Any) -> None:
    """As for kind itself; it has the audit log then too."""
    (node,) = add_audit_log(usable({"nodes": nodes}), Path("/policy"))["nodes"]
    assert node["role"] == "control-plane"
    assert node["extraMounts"]


def test_parts_of_a_patch_may_be_empty() -> None:
    """A patch with nothing below `apiServer`, and an empty document, say nothing."""
    patches = ["kind: ClusterConfiguration\napiServer:\n", "---\n"]
    config = add_audit_log(usable({"kubeadmConfigPatches": patches}), Path("/policy"))
    assert config["kubeadmConfigPatches"] == patches


@pytest.mark.parametrize(
    ("content", "said"),
    [
        pytest.param(None, "cannot be read", id="no file"),
        pytest.param("a: [", "cannot be read", id="no YAML"),
        pytest.param("", "not of type 'object'", id="empty"),
        pytest.param("[1, 2]", "not of type 'object'", id="a list"),
        pytest.param("nodes: [worker]", r"\$\.nodes\[0\]: 'worker' is not of type 'object'", id="a node by its role"),
        pytest.param("networking: ipv4", r"\$\.networking: 'ipv4'", id="networking by a word"),
        pytest.param("nodes: [{extraMounts: /data}]", r"\$\.nodes\[0\]\.extraMounts", id="a mount by its path"),
        pytest.param("kubeadmConfigPatches: [{a: b}]", r"kubeadmConfigPatches\[0\].*'string'", id="a patch not quoted"),
        pytest.param("kubeadmConfigPatches: ['[1]']", r"\$\.kubeadmConfigPatches\[0\]: \[1\]", id="a patch of a list"),
        pytest.param("nodes: [{kubeadmConfigPatches: ['a: [']}]", r"\$\.nodes\[0\]\.kubeadm", id="a patch of no YAML"),
        pytest.param("kubeadmConfigPatches: ['apiServer: x']", r"\[0\]\.apiServer: 'x'", id="a patch of a word"),
        pytest.param("nodes: [{}, {role: control-plane}]", "several control planes", id="two control planes"),
    ],
)
def test_a_configuration_that_is_none_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str | None, said: str
) -> None:
    """The message has the setting, the place in the file and what is wrong there."""
    path = tmp_path / "kind.yaml"
    if content is not None:
        path.write_text(content)
    monkeypatch.setenv("FLOWKILN_KIND_CONFIG", str(path))
    with pytest.raises(HarnessError, match=rf"(?s)FLOWKILN_KIND_CONFIG={path}.*{said}"):
        given_config()


def test_a_configuration_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the setting there is none."""
    monkeypatch.delenv("FLOWKILN_KIND_CONFIG", raising=False)
    assert given_config() == {}
    path = tmp_path / "kind.yaml"
    path.write_text(yaml.safe_dump({"featureGates": {"AllAlpha": False}}))
    monkeypatch.setenv("FLOWKILN_KIND_CONFIG", str(path))
    assert given_config() == {"featureGates": {"AllAlpha": False}}
