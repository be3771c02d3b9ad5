"""Which way to a cluster is taken."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from tests.cluster.harness import choose
from tests.cluster.harness.choose import way_offered
from tests.cluster.harness.interface import HarnessError, Images

BROUGHT = {"FLOWKILN_TEST_KUBECONFIG": "/some/kubeconfig"}


@pytest.mark.parametrize(
    ("environment", "docker", "node", "way"),
    [
        pytest.param(BROUGHT, True, True, "bring", id="a cluster that is brought goes before all others"),
        pytest.param({}, True, True, "kind", id="kind goes before the built node"),
        pytest.param({}, False, True, "node", id="the built node when no Docker engine answers"),
    ],
)
def test_first_way_that_is_there(environment: dict[str, str], docker: bool, node: bool, way: str) -> None:
    """The order is: brought, kind, built."""
    assert way_offered(environment, lambda: docker, lambda: node) == way


def test_no_way_says_what_to_install() -> None:
    """Where nothing can be had, one sentence names every way out."""
    with pytest.raises(HarnessError) as caught:
        way_offered({}, lambda: False, lambda: False)
    for hint in ("FLOWKILN_TEST_KUBECONFIG", "kind", "Helm 3", "Go"):
        assert hint in str(caught.value)
    assert "\n" not in str(caught.value)


def test_forced_way_must_be_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """A misspelt FLOWKILN_TEST_CLUSTER is refused with the names that there are."""
    monkeypatch.setenv("FLOWKILN_TEST_CLUSTER", "minikube")
    with pytest.raises(HarnessError, match="bring, kind, node"):
        choose.cluster("any", owned=True)


def test_brought_cluster_needs_an_image(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A kubeconfig without an image is refused before any test runs."""
    (tmp_path / "kubeconfig").touch()
    monkeypatch.setattr(os, "environ", {"FLOWKILN_TEST_KUBECONFIG": str(tmp_path / "kubeconfig")})
    with pytest.raises(HarnessError, match="FLOWKILN_TEST_IMAGE"):
        choose.cluster("any", owned=True).start()


def test_a_brought_cluster_takes_the_image_of_runs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without one it is the operator's."""
    settings = {"FLOWKILN_TEST_KUBECONFIG": str(tmp_path / "kubeconfig"), "FLOWKILN_TEST_IMAGE": "registry/operator:1"}
    monkeypatch.setattr(os, "environ", settings)
    both = Images(runtime="registry/operator:1", operator="registry/operator:1")
    assert choose.cluster("any", owned=True).images() == both
    settings["FLOWKILN_TEST_RUNTIME_IMAGE"] = "registry/runtime:1"
    assert choose.cluster("any", owned=True).images() == replace(both, runtime="registry/runtime:1")


def test_bringing_a_cluster_needs_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """FLOWKILN_TEST_CLUSTER=bring alone is answered with what to set."""
    monkeypatch.setattr(os, "environ", {"FLOWKILN_TEST_CLUSTER": "bring"})
    with pytest.raises(HarnessError, match="set FLOWKILN_TEST_KUBECONFIG"):
        choose.cluster("any", owned=True)
