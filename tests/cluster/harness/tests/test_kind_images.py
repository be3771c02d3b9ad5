"""The images of a kind cluster: how they are found, built and loaded."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cluster.harness.commands import CommandError
from tests.cluster.harness.images import buildah, docker, docker_store, kind_load
from tests.cluster.harness.interface import HarnessError, Images
from tests.cluster.harness.kind import KindCluster

from .conftest import StandIns


def test_an_image_that_is_given_is_loaded_once_under_the_name_of_its_content(
    stand_ins: StandIns, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A tag such as `latest` would make the kubelet look for the image in a registry."""
    monkeypatch.setenv("FLOWKILN_TEST_IMAGE", "mine:latest")
    cluster = KindCluster("mine")
    cluster.prepare()
    ours = "flowkiln-under-test:0123456789abcdef"
    assert cluster.images() == Images(runtime=ours, operator=ours)
    assert f"tag mine:latest {ours}" in stand_ins.asked("docker")
    assert stand_ins.asked("kind") == [f"load docker-image {ours} --name=flowkiln-mine"]


def test_the_image_of_runs_may_be_another_one(stand_ins: StandIns, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the operator needs besides stays out of users' way then; each is kept under a name of its own."""
    stand_ins.answer(
        {
            "docker image inspect --format={{.Id}} runs:latest": "echo sha256:fedcba9876543210fedc",
            "docker image inspect flowkiln-runtime-under-test:fedcba9876543210": "",
        }
    )
    monkeypatch.setenv("FLOWKILN_TEST_IMAGE", "mine:latest")
    monkeypatch.setenv("FLOWKILN_TEST_RUNTIME_IMAGE", "runs:latest")
    runtime, operator = "flowkiln-runtime-under-test:fedcba9876543210", "flowkiln-under-test:0123456789abcdef"
    assert KindCluster("mine").images() == Images(runtime=runtime, operator=operator)
    assert stand_ins.asked("kind") == [
        f"load docker-image {reference} --name=flowkiln-mine" for reference in (runtime, operator)
    ]


def test_one_image_for_both_is_told(
    stand_ins: StandIns, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It works as far as no user's package minds the Kubernetes client; a runtime image alone is no way to test."""
    monkeypatch.setenv("FLOWKILN_TEST_IMAGE", "mine:latest")
    KindCluster("mine").prepare()
    assert "set FLOWKILN_TEST_RUNTIME_IMAGE to an image of the target `runtime`" in capsys.readouterr().err
    monkeypatch.setenv("FLOWKILN_TEST_RUNTIME_IMAGE", "runs:latest")
    monkeypatch.delenv("FLOWKILN_TEST_IMAGE")
    with pytest.raises(HarnessError, match="FLOWKILN_TEST_RUNTIME_IMAGE is set: set FLOWKILN_TEST_IMAGE too"):
        KindCluster("mine").prepare()


@pytest.mark.parametrize("setting", ["FLOWKILN_TEST_IMAGE", "FLOWKILN_TEST_RUNTIME_IMAGE"])
def test_an_image_that_is_given_must_be_in_docker(
    stand_ins: StandIns, monkeypatch: pytest.MonkeyPatch, setting: str
) -> None:
    """The message names the setting and says what to do."""
    monkeypatch.setenv("FLOWKILN_TEST_IMAGE", "mine:latest")
    monkeypatch.setenv(setting, "nobody:1")
    with pytest.raises(HarnessError, match=f"{setting}=nobody:1: Docker has no such image"):
        KindCluster("mine").images()


def test_buildah_builds_what_docker_cannot(stand_ins: StandIns, monkeypatch: pytest.MonkeyPatch) -> None:
    """A host whose Docker reaches no registry, or no package index, still gets its images; else both are named."""
    made = Images(runtime="localhost/runtime:1", operator="localhost/operator:1")
    monkeypatch.setattr(buildah, "build", lambda: made)
    monkeypatch.setattr(docker_store, "pull", lambda image: False)
    assert docker.build() == made

    def broken(base: str) -> Images:
        raise CommandError(["docker", "build"], 1, "no route to the index")

    monkeypatch.setattr(docker_store, "pull", lambda image: True)
    monkeypatch.setattr(docker, "_build_by_docker", broken)
    assert docker.build() == made

    def missing() -> Images:
        raise HarnessError("apt-get is missing")

    monkeypatch.setattr(buildah, "build", missing)
    with pytest.raises(HarnessError, match=r"(?s)no route to the index.*apt-get is missing"):
        docker.build()


def test_the_nodes_image_is_pulled_before_the_first_test(stand_ins: StandIns, monkeypatch: pytest.MonkeyPatch) -> None:
    """The time limit of a test does not allow for a download; an image that Docker has is not looked for."""
    monkeypatch.setenv("FLOWKILN_TEST_IMAGE", "mine:latest")
    monkeypatch.setenv("FLOWKILN_KIND_NODE_IMAGE", "node:v1.34.0")
    KindCluster("mine").prepare()
    assert stand_ins.asked("docker").count("pull --quiet node:v1.34.0") == 1
    stand_ins.answer({"docker image inspect node:v1.34.0": ""})
    KindCluster("mine").prepare()
    assert stand_ins.asked("docker").count("pull --quiet node:v1.34.0") == 1
    stand_ins.answer({"docker pull *": "exit 1"})
    with pytest.raises(HarnessError, match=r"FLOWKILN_KIND_NODE_IMAGE=node:v1\.34\.0: Docker has no such image"):
        KindCluster("mine").prepare()


def test_an_image_of_several_platforms_is_loaded_for_the_one_that_is_there(stand_ins: StandIns) -> None:
    """Docker's containerd image store keeps the index of all platforms, and kind takes it for complete."""
    stand_ins.answer(
        {
            "kind load docker-image *": "echo 'ctr: content digest sha256:0123: not found' >&2; exit 1",
            "docker image inspect --format={{.Os}}/{{.Architecture}} pulled:1": "echo linux/arm64",
        }
    )
    kind_load.load("pulled:1", "flowkiln-mine")
    (saved,) = (line for line in stand_ins.asked("docker") if line.startswith("image save"))
    options, archive, reference = saved.removeprefix("image save ").split()
    assert (options, reference) == ("--platform=linux/arm64", "pulled:1")
    loaded = f"load image-archive {archive.removeprefix('--output=')} --name=flowkiln-mine"
    assert stand_ins.asked("kind") == ["load docker-image pulled:1 --name=flowkiln-mine", loaded]


def test_another_reason_that_an_image_is_not_loaded_is_told(stand_ins: StandIns) -> None:
    """Nothing else is tried then."""
    stand_ins.answer({"kind load docker-image *": "echo no space left >&2; exit 1"})
    with pytest.raises(CommandError, match="no space left"):
        kind_load.load("pulled:1", "flowkiln-mine")
    assert stand_ins.asked("docker") == []


def test_an_archive_is_there_whole_or_not_at_all(
    stand_ins: StandIns, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What an interrupted export left is not loaded, and does not hinder the next one; older archives go."""
    folder = tmp_path / "cache" / "images"
    folder.mkdir(parents=True)
    (folder / "flowkiln-runtime-0.tar").write_text("older")

    def interrupted(reference: str, archive: Path) -> None:
        archive.write_text("half")
        raise KeyboardInterrupt

    def complete(reference: str, archive: Path) -> None:
        assert not archive.exists(), "buildah does not write over an archive"
        archive.write_text("whole")

    monkeypatch.setattr(buildah, "export_docker_archive", interrupted)
    with pytest.raises(KeyboardInterrupt):
        docker.loadable("localhost/flowkiln-runtime:1")
    monkeypatch.setattr(buildah, "export_docker_archive", complete)
    archive = docker.loadable("localhost/flowkiln-runtime:1")
    assert archive == folder / "flowkiln-runtime-1.tar"
    assert {file.name: file.read_text() for file in folder.iterdir()} == {"flowkiln-runtime-1.tar": "whole"}


def test_docker_builds_once_behind_the_hosts_proxy_and_keeps_the_newest(
    stand_ins: StandIns, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Docker is named the proxy's variables, those that are set, and looks their values up itself."""
    for name in docker.PROXY_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("https_proxy", "http://proxy.example:3128")
    source = tmp_path / "source"
    source.mkdir()
    (source / "Dockerfile").write_text("ARG BASE\nFROM ${BASE}\n")
    listed = " ".join(f"flowkiln-derived:{number}" for number in range(6))
    there = f"""grep --quiet -- "--tag=$3" {stand_ins.record}"""
    stand_ins.answer(
        {
            "docker image inspect base:1": "",
            "docker image inspect flowkiln-derived:*": f"{there} || exit 1",
            "docker image ls --format={{.Repository}}:{{.Tag}} flowkiln-derived": f"echo {listed}",
        }
    )
    reference = docker.build_derived(source, "base:1")
    assert docker.build_derived(source, "base:1") == reference
    (build,) = (line for line in stand_ins.asked("docker") if line.startswith("build"))
    options = "--network=host --build-arg=https_proxy --build-arg=BASE=base:1"
    assert build == f"build {options} --tag={reference} {source}"
    removed = [line for line in stand_ins.asked("docker") if line.startswith("image rm")]
    assert removed == [f"image rm flowkiln-derived:{number}" for number in (3, 4, 5)]


def test_a_builder_that_keeps_images_to_itself_is_named(stand_ins: StandIns, tmp_path: Path) -> None:
    """kind would only say that there is no such image."""
    stand_ins.answer({"docker image inspect base:1": ""})
    with pytest.raises(HarnessError, match="docker buildx use"):
        docker.build_derived(tmp_path, "base:1")
