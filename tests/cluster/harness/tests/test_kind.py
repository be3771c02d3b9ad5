"""The way by kind, as far as it can be followed without a Docker engine: what it asks docker, kind and kubectl to do.

Stand-ins on the PATH record their arguments. A real kind runs the cluster tests themselves: `make test-kind`.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from tests.cluster.harness.commands import CommandError
from tests.cluster.harness.images import buildah, docker
from tests.cluster.harness.interface import HarnessError, Images
from tests.cluster.harness.kind import KindCluster

STAND_IN = """#!/bin/sh
name=$(basename "$0")
echo "$name $*" >> "$RECORD"
{script}
"""
DOCKER = """
case "$*" in
  "image inspect --format={{.Id}} mine:latest") echo sha256:0123456789abcdef0123 ;;
  "image inspect mine:latest" | "image inspect flowkiln-under-test:0123456789abcdef") ;;
  "image inspect "*) exit 1 ;;
esac
"""

Recorded = Callable[[str], list[str]]


@pytest.fixture
def recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Recorded:
    """Put stand-ins for docker, kind and kubectl in front of the PATH; return what one of them was asked so far."""
    record = tmp_path / "record"
    record.touch()
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, script in {"docker": DOCKER, "kind": "", "kubectl": ""}.items():
        program = programs / name
        program.write_text(STAND_IN.format(script=script))
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("RECORD", str(record))
    monkeypatch.setenv("FLOWKILN_CACHE", str(tmp_path / "cache"))
    for setting in ("FLOWKILN_KIND_NODE_IMAGE", "FLOWKILN_KIND_CONFIG", "FLOWKILN_TEST_IMAGE"):
        monkeypatch.delenv(setting, raising=False)
    return lambda name: [line.partition(" ")[2] for line in record.read_text().splitlines() if line.startswith(name)]


def test_a_cluster_is_created_and_deleted(recorded: Recorded, tmp_path: Path) -> None:
    """Under a name of its own, with a kubeconfig of its own: a person's clusters and contexts are not touched."""
    cluster = KindCluster("mine")
    cluster.start()
    folder = tmp_path / "cache" / "kind" / "mine"
    named = f"--name=flowkiln-mine --kubeconfig={folder}/kubeconfig"
    assert recorded("kind") == [f"create cluster {named} --config={folder}/config.yaml --wait=300s"]
    assert cluster.kubeconfig == folder / "kubeconfig"
    with pytest.raises(HarnessError, match="a cluster named mine is running already"):
        KindCluster("mine").start()
    cluster.stop()
    assert recorded("kind")[1:] == [f"delete cluster {named}"]
    assert not folder.exists()


def test_its_settings_are_respected(recorded: Recorded, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The node's image is passed on; the configuration is taken as it is, with the audit log added."""
    given = {"networking": {"ipFamily": "ipv4"}, "nodes": [{"role": "control-plane"}, {"role": "worker"}]}
    (tmp_path / "kind.yaml").write_text(yaml.safe_dump(given))
    monkeypatch.setenv("FLOWKILN_KIND_NODE_IMAGE", "node:v1.34.0")
    monkeypatch.setenv("FLOWKILN_KIND_CONFIG", str(tmp_path / "kind.yaml"))
    KindCluster("mine").start()
    assert recorded("kind")[0].endswith(" --image=node:v1.34.0")
    used = yaml.safe_load((tmp_path / "cache" / "kind" / "mine" / "config.yaml").read_text())
    assert used["networking"] == given["networking"]
    assert [node["role"] for node in used["nodes"]] == ["control-plane", "worker"]
    assert "audit-log-path" in json.dumps(used["nodes"][0])


@pytest.mark.parametrize("content", [None, "[1, 2]", "a: [", ""], ids=["no file", "a list", "no YAML", "empty"])
def test_a_configuration_that_is_none_is_named(
    recorded: Recorded, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str | None
) -> None:
    """Before anything is made."""
    path = tmp_path / "kind.yaml"
    if content is not None:
        path.write_text(content)
    monkeypatch.setenv("FLOWKILN_KIND_CONFIG", str(path))
    with pytest.raises(HarnessError, match="FLOWKILN_KIND_CONFIG="):
        KindCluster("mine").start()
    assert recorded("kind") == []


def test_an_image_that_is_given_is_loaded_once_under_the_name_of_its_content(
    recorded: Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A tag such as `latest` would make the kubelet look for the image in a registry."""
    monkeypatch.setenv("FLOWKILN_TEST_IMAGE", "mine:latest")
    cluster = KindCluster("mine")
    cluster.prepare()
    ours = "flowkiln-under-test:0123456789abcdef"
    assert cluster.images() == Images(runtime=ours, operator=ours)
    assert f"tag mine:latest {ours}" in recorded("docker")
    assert recorded("kind") == [f"load docker-image {ours} --name=flowkiln-mine"]


def test_an_image_that_is_given_must_be_in_docker(recorded: Recorded, monkeypatch: pytest.MonkeyPatch) -> None:
    """The message names the setting and says what to do."""
    monkeypatch.setenv("FLOWKILN_TEST_IMAGE", "nobody:1")
    with pytest.raises(HarnessError, match="FLOWKILN_TEST_IMAGE=nobody:1: Docker has no such image"):
        KindCluster("mine").images()


def test_buildah_builds_what_docker_cannot(recorded: Recorded, monkeypatch: pytest.MonkeyPatch) -> None:
    """A host whose Docker reaches no registry, or no package index, still gets its images; else both are named."""
    made = Images(runtime="localhost/runtime:1", operator="localhost/operator:1")
    monkeypatch.setattr(buildah, "build", lambda: made)
    monkeypatch.setattr(docker, "_pulled", lambda image: False)
    assert docker.build() == made

    def broken(base: str) -> Images:
        raise CommandError(["docker", "build"], 1, "no route to the index")

    monkeypatch.setattr(docker, "_pulled", lambda image: True)
    monkeypatch.setattr(docker, "_build_by_docker", broken)
    assert docker.build() == made

    def missing() -> Images:
        raise HarnessError("apt-get is missing")

    monkeypatch.setattr(buildah, "build", missing)
    with pytest.raises(HarnessError, match=r"(?s)no route to the index.*apt-get is missing"):
        docker.build()
