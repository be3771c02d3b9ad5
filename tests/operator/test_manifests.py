"""What is installed: it builds, and it grants no more than what is used."""

from __future__ import annotations

import json
import runpy
import shutil
import subprocess
import sysconfig
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.charts.rendering import LOADER

ROOT = Path(__file__).parents[2]
MANIFESTS = ROOT / "manifests"
KUBECTL = shutil.which("kubectl") or str(Path(sysconfig.get_path("scripts")) / "kubectl")

Document = dict[str, Any]


def build(folder: str) -> list[Document]:
    """Return what kustomize makes of a folder below manifests/, as `kubectl apply -k` would."""
    command = [KUBECTL, "kustomize", str(MANIFESTS / folder)]
    built = subprocess.run(command, check=True, capture_output=True, text=True, timeout=240)
    return [document for document in yaml.load_all(built.stdout, Loader=LOADER) if document]


@pytest.fixture(scope="module")
def base() -> list[Document]:
    """Return the base."""
    return build("base")


def of_kind(documents: list[Document], kind: str) -> dict[str, Document]:
    """Return the documents of one kind, by name."""
    return {document["metadata"]["name"]: document for document in documents if document["kind"] == kind}


@pytest.mark.parametrize("overlay", ["base", "overlays/default", "overlays/test"])
def test_each_overlay_builds(overlay: str) -> None:
    """Plain `kubectl apply -k` takes it: nothing reaches outside of what kustomize may load."""
    documents = build(overlay)
    assert {"flowkiln-operator", "dask-kubernetes"} == set(of_kind(documents, "Deployment"))
    crds = {"flows.flowkiln.dev", "flowruns.flowkiln.dev"}
    dask = {"daskclusters.kubernetes.dask.org", "daskworkergroups.kubernetes.dask.org"}
    assert set(of_kind(documents, "CustomResourceDefinition")) == crds | dask


def test_no_right_is_a_wildcard(base: list[Document]) -> None:
    """Rights one by one, for both controllers and for people."""
    roles = of_kind(base, "ClusterRole")
    assert set(roles) == {"flowkiln-operator", "flowkiln-dask-kubernetes", "flowkiln-view", "flowkiln-edit"}
    for role in roles.values():
        for rule in role["rules"]:
            assert "nonResourceURLs" not in rule
            assert not any("*" in item for field in ("apiGroups", "resources", "verbs") for item in rule[field])


def verbs(role: Document, group: str, resource: str) -> set[str]:
    """Return what a role may do to a resource."""
    rules = [rule for rule in role["rules"] if group in rule["apiGroups"] and resource in rule["resources"]]
    return {verb for rule in rules for verb in rule["verbs"]}


def test_the_operator_cannot_read_a_secret_nor_get_into_a_pod(base: list[Document]) -> None:
    """It creates Secrets, and that is all; it escalates nothing."""
    role = of_kind(base, "ClusterRole")["flowkiln-operator"]
    assert verbs(role, "", "secrets") == {"create"}
    for resource in ("pods/exec", "pods/log", "pods/attach", "serviceaccounts/token"):
        assert verbs(role, "", resource) == set()
    assert verbs(role, "", "pods") == {"list", "watch"}
    assert verbs(role, "apps", "deployments") == {"list", "watch"}
    assert verbs(role, "rbac.authorization.k8s.io", "roles") == {"get", "create", "delete"}
    assert verbs(role, "rbac.authorization.k8s.io", "rolebindings") == {"get", "create"}
    assert verbs(role, "flowkiln.dev", "flowruns") == {"get", "list", "watch", "delete"}
    assert verbs(role, "flowkiln.dev", "flowruns/status") == {"patch"}


def test_the_controller_of_dask_kubernetes_can_neither_delete_nor_touch_pods(base: list[Document]) -> None:
    """What its chart grants by wildcards, it does not need for a DaskCluster that is never scaled."""
    role = of_kind(base, "ClusterRole")["flowkiln-dask-kubernetes"]
    assert not any("delete" in rule["verbs"] for rule in role["rules"])
    assert verbs(role, "", "pods") == {"list", "watch"}
    assert verbs(role, "", "secrets") == set()


@pytest.mark.parametrize("name", ["flowkiln-operator", "dask-kubernetes"])
def test_our_own_pods_have_the_restricted_profile(base: list[Document], name: str) -> None:
    """As the namespace enforces, and with a read-only root besides."""
    spec = of_kind(base, "Deployment")[name]["spec"]
    assert (spec["replicas"], spec["strategy"]["type"]) == (1, "Recreate")
    pod = spec["template"]["spec"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    for container in pod["containers"]:
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert {"startupProbe", "livenessProbe"} <= container.keys()
    labels = of_kind(base, "Namespace")["flowkiln-system"]["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"


EGRESS = [(443, True), (6443, True), (53, True), (8786, False), (8787, False), (80, False), (9000, False)]


@pytest.mark.parametrize("name", ["flowkiln-operator", "dask-kubernetes"])
@pytest.mark.parametrize(("port", "allowed"), EGRESS)
def test_controllers_reach_the_api_server_and_dns_only(
    base: list[Document], name: str, port: int, allowed: bool
) -> None:
    """No scheduler of a run, in particular: what it answers would be unpickled."""
    spec = of_kind(base, "NetworkPolicy")[name]["spec"]
    labels = of_kind(base, "Deployment")[name]["spec"]["template"]["metadata"]["labels"]
    assert spec["podSelector"]["matchLabels"].items() <= labels.items()
    assert spec["policyTypes"] == ["Ingress", "Egress"]
    assert all("ports" in rule for rule in spec["egress"]), "a rule without ports would allow all of them"
    assert any(port == allowed_port["port"] for rule in spec["egress"] for allowed_port in rule["ports"]) is allowed


@pytest.mark.parametrize(("port", "allowed"), [(8080, True), (22, False)])
def test_the_operator_answers_on_its_http_port_only(base: list[Document], port: int, allowed: bool) -> None:
    """For the kubelet and Prometheus."""
    rules = of_kind(base, "NetworkPolicy")["flowkiln-operator"]["spec"]["ingress"]
    assert any(port == one["port"] for rule in rules for one in rule["ports"]) is allowed
    assert "ingress" not in of_kind(base, "NetworkPolicy")["dask-kubernetes"]["spec"], "nobody calls it"


def test_the_definitions_of_dask_kubernetes_are_those_of_its_wheel() -> None:
    """A new version of the wheel shows in the repository."""
    generator = runpy.run_path(str(MANIFESTS / "dask-kubernetes" / "generate_crds.py"))
    assert (MANIFESTS / "dask-kubernetes" / "crds.yaml").read_text() == generator["render"]()


def test_no_definition_is_too_large_for_kubectl_apply(base: list[Document]) -> None:
    """kubectl keeps what it applied in an annotation, and those end at 256 KiB."""

    for crd in of_kind(base, "CustomResourceDefinition").values():
        assert len(json.dumps(crd, separators=(",", ":"))) < 256 * 1024


def test_people_get_their_rights_by_the_roles_that_every_cluster_has(base: list[Document]) -> None:
    """view reads; edit and admin write, and neither of them a status."""
    roles = of_kind(base, "ClusterRole")
    assert verbs(roles["flowkiln-view"], "flowkiln.dev", "flowruns") == {"get", "list", "watch"}
    labels = roles["flowkiln-edit"]["metadata"]["labels"]
    assert "rbac.authorization.k8s.io/aggregate-to-view" not in labels
    for role in ("flowkiln-view", "flowkiln-edit"):
        assert verbs(roles[role], "flowkiln.dev", "flowruns/status") == set()
