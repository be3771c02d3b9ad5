"""What the chart's values do."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft7Validator

from flowkiln_operator.controller.settings import Settings
from tests.cluster.harness.commands import CommandError

from .helm import CHART, helm
from .rendering import SECOND, Object, container, named, names, pod, render

CONTROLLERS = {"operator": "flowkiln-operator", "daskKubernetes": "dask-kubernetes"}
DEFINITIONS = {"flows.flowkiln.dev", "flowruns.flowkiln.dev"}
DASK_DEFINITIONS = {"daskclusters.kubernetes.dask.org", "daskworkergroups.kubernetes.dask.org"}
SCHEMA: Object = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))

PLACEMENT: Mapping[str, Any] = {
    "priorityClassName": "system-cluster-critical",
    "nodeSelector": {"disk": "ssd"},
    "tolerations": [{"key": "dedicated", "operator": "Exists", "effect": "NoSchedule"}],
    "affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": []}}},
}


def described(schema: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield every value of the schema that has a name, by its path."""
    for name, value in schema.get("properties", {}).items():
        where = f"{path}.{name}".lstrip(".")
        yield where, value
        target = SCHEMA["definitions"][value["$ref"].rpartition("/")[2]] if "$ref" in value else value
        if "default" not in value:
            yield from described(target, where)


def refused(values: Mapping[str, Any]) -> str:
    """Return what Helm says against values that it must not take."""
    with pytest.raises(CommandError) as raised:
        render(values)
    return raised.value.output


def test_helm_finds_nothing_to_complain_about() -> None:
    """`helm lint`, with warnings taken for errors."""
    helm("lint", "--strict", CHART)


def test_every_value_is_described_and_has_a_default_that_fits() -> None:
    """values.yaml has what the schema has, in the same places, and passes it."""
    Draft7Validator.check_schema(SCHEMA)
    values = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))
    Draft7Validator(SCHEMA).validate(values)
    for path, value in described(SCHEMA):
        assert value.get("description"), path
        here: Any = values
        for name in path.split("."):
            here = here[name]
        assert "default" not in value or here == value["default"], path


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"imagePulSecrets": []}, "imagePulSecrets"),
        ({"operator": {"replicas": 2}}, "replicas"),
        ({"settings": {"logLevel": "LOUD"}}, "logLevel"),
        ({"settings": {"concurrency": 0}}, "concurrency"),
        ({"image": {"digest": "sha256:12"}}, "digest"),
        ({"namespaces": ["Not_A_Name"]}, "namespaces"),
        ({"operator": {"livenessProbe": {"path": "/"}}}, "livenessProbe"),
        ({"networkPolicy": {"apiServerPorts": []}}, "apiServerPorts"),
        ({"settings": {"runClass": "a b"}}, "runClass"),
        ({"settings": {"runClass": "x" * 64}}, "runClass"),
        ({"runtimeImage": {"pullSecrets": ["registry"]}}, "pullSecrets"),
        ({"runtimeImage": {"pullSecrets": [{"name": "Not_A_Name"}]}}, "pullSecrets"),
        ({"admissionPolicies": {"instal": False}}, "admissionPolicies"),
    ],
)
def test_a_mistake_in_the_values_is_refused_by_name(values: Object, field: str) -> None:
    """A misspelt value does not go unnoticed, and the message names it."""
    assert field in refused(values)


def test_every_setting_of_the_operator_can_be_given() -> None:
    """And nothing is given that the operator does not read. Its port is not a value: nothing outside sees it."""
    values = {
        "runtimeImage": {
            "repository": "reg.example/run",
            "tag": "9",
            "pullSecrets": [{"name": "registry"}, {"name": "mirror"}],
        },
        "namespaces": ["a", "b"],
        "settings": {"runClass": "gpu", "logLevel": "DEBUG", "clusterDomain": "example.org", "concurrency": 3},
    }
    data = named(render(values), "ConfigMap", "flowkiln-operator")["data"]
    assert set(data) == {f"FLOWKILN_{name.upper()}" for name in Settings.model_fields} - {"FLOWKILN_HTTP_PORT"}
    assert Settings.from_environment(data) == Settings(
        runtime_image="reg.example/run:9",
        runtime_image_pull_secrets=("registry", "mirror"),
        run_class="gpu",
        namespaces=("a", "b"),
        log_level="DEBUG",
        cluster_domain="example.org",
        concurrency=3,
    )


def test_other_settings_start_the_operator_anew_and_other_values_do_not() -> None:
    """The pod carries a checksum of the settings only."""

    def checksum(values: Object) -> Any:
        deployment = named(render(values), "Deployment", "flowkiln-operator")
        return deployment["spec"]["template"]["metadata"]["annotations"]["checksum/settings"]

    assert checksum({}) == checksum({"metrics": {"serviceMonitor": {"enabled": True}}})
    assert checksum({}) != checksum({"settings": {"logLevel": "DEBUG"}})


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        ({}, "flowkiln-operator:0.1.0"),
        ({"repository": "reg.example:5000/op", "tag": "7"}, "reg.example:5000/op:7"),
        ({"tag": "7", "digest": f"sha256:{'a' * 64}"}, f"flowkiln-operator@sha256:{'a' * 64}"),
    ],
)
@pytest.mark.parametrize("deployment", CONTROLLERS.values())
def test_the_image(deployment: str, image: Object, expected: str) -> None:
    """Tag or digest, for both controllers; a policy only when one is given."""
    assert container(render({"image": image}), deployment)["image"] == expected
    assert "imagePullPolicy" not in container(render({"image": image}), deployment)
    always = render({"image": image | {"pullPolicy": "Always"}})
    assert container(always, deployment)["imagePullPolicy"] == "Always"


@pytest.mark.parametrize("which", CONTROLLERS)
def test_where_and_with_what_a_controller_runs(which: str) -> None:
    """Placement, resources, labels and annotations reach that controller's pod and not the other's."""
    mine, other = CONTROLLERS[which], next(name for key, name in CONTROLLERS.items() if key != which)
    values: Object = {
        **PLACEMENT,
        "resources": {"limits": {"memory": "3Gi"}},
        "podLabels": {"team": "data", "app.kubernetes.io/name": "stays-ours"},
        "podAnnotations": {"note": "x"},
        "livenessProbe": {"failureThreshold": 9},
    }
    found = render({which: values, "imagePullSecrets": [{"name": "pull"}]})
    spec = pod(found, mine)
    assert {key: spec[key] for key in PLACEMENT} == PLACEMENT
    assert not PLACEMENT.keys() & pod(found, other).keys()
    assert spec["imagePullSecrets"] == pod(found, other)["imagePullSecrets"] == [{"name": "pull"}]
    assert container(found, mine)["resources"]["limits"] == {"memory": "3Gi"}
    assert container(found, mine)["resources"]["requests"] == {"cpu": "50m", "memory": "128Mi"}
    probe = container(found, mine)["livenessProbe"]
    assert probe == {
        "httpGet": {"path": "/healthz", "port": "http"},
        "periodSeconds": 10,
        "timeoutSeconds": 5,
        "failureThreshold": 9,
    }
    deployment = named(found, "Deployment", mine)
    metadata = deployment["spec"]["template"]["metadata"]
    assert metadata["labels"] == {"team": "data", "app.kubernetes.io/name": mine}
    assert metadata["annotations"]["note"] == "x"
    assert deployment["spec"]["selector"]["matchLabels"].items() <= metadata["labels"].items()


@pytest.mark.parametrize("which", CONTROLLERS)
def test_a_disruption_budget(which: str) -> None:
    """Only when asked for; it selects the controller's pod."""
    assert names(render(), "PodDisruptionBudget") == set()
    found = render({which: {"podDisruptionBudget": {"enabled": True, "maxUnavailable": 0}}})
    budget = named(found, "PodDisruptionBudget", CONTROLLERS[which])["spec"]
    assert budget == {"maxUnavailable": 0, "selector": {"matchLabels": {"app.kubernetes.io/name": CONTROLLERS[which]}}}


def test_definitions_stay_when_the_release_goes_unless_told_otherwise() -> None:
    """Deleting them would delete every Flow and FlowRun."""

    def policies(values: Object) -> set[Any]:
        found = render(values)
        assert names(found, "CustomResourceDefinition") == DEFINITIONS | DASK_DEFINITIONS
        return {
            document["metadata"].get("annotations", {}).get("helm.sh/resource-policy")
            for (kind, _, _), document in found.items()
            if kind == "CustomResourceDefinition"
        }

    assert policies({}) == {"keep"}
    assert policies({"crds": {"keep": False}}) == {None}


def test_definitions_may_be_annotated() -> None:
    """With sync options of a GitOps tool, beside what Helm reads."""
    found = render({"crds": {"annotations": {"argocd.argoproj.io/sync-options": "Prune=false"}}})
    for name in DEFINITIONS | DASK_DEFINITIONS:
        annotations = named(found, "CustomResourceDefinition", name)["metadata"]["annotations"]
        assert annotations["argocd.argoproj.io/sync-options"] == "Prune=false"
        assert annotations["helm.sh/resource-policy"] == "keep"


def test_definitions_can_be_left_to_somebody_else() -> None:
    """And nothing else goes with them."""
    without, default = render({"crds": {"install": False}}), render()
    assert names(without, "CustomResourceDefinition") == set()
    assert {key for key in default if key[0] != "CustomResourceDefinition"} == set(without)


def test_a_cluster_may_have_its_own_dask_kubernetes() -> None:
    """Then neither its controller nor its rights nor its definitions are installed; ours are as before."""
    without, default = render({"daskKubernetes": {"enabled": False}}), render()
    gone = {(kind, name) for kind, _, name in default.keys() - without.keys()}
    assert gone == {
        *(("CustomResourceDefinition", name) for name in DASK_DEFINITIONS),
        *((kind, "dask-kubernetes") for kind in ("ServiceAccount", "Deployment", "NetworkPolicy")),
        *((kind, "flowkiln-dask-kubernetes") for kind in ("ClusterRole", "ClusterRoleBinding")),
    }
    assert all(without[key] == default[key] for key in without)


@pytest.mark.parametrize(
    ("role", "deployment"),
    [("flowkiln-operator", "flowkiln-operator"), ("flowkiln-dask-kubernetes", "dask-kubernetes")],
)
def test_with_namespaces_the_rights_end_there(role: str, deployment: str) -> None:
    """A controller that watches two namespaces can list what namespaces and definitions there are, and no more."""
    found = render({"namespaces": ["a", "b"]})
    subject = {"kind": "ServiceAccount", "name": deployment, "namespace": "flowkiln-system"}
    bindings = {key: document for key, document in found.items() if document.get("subjects") == [subject]}
    assert {(kind, namespace, document["roleRef"]["name"]) for (kind, namespace, _), document in bindings.items()} == {
        ("ClusterRoleBinding", "", f"{role}-discovery"),
        ("RoleBinding", "a", role),
        ("RoleBinding", "b", role),
    }
    rules = named(found, "ClusterRole", f"{role}-discovery")["rules"]
    assert rules == [
        {"apiGroups": ["apiextensions.k8s.io"], "resources": ["customresourcedefinitions"], "verbs": ["list", "watch"]},
        {"apiGroups": [""], "resources": ["namespaces"], "verbs": ["list", "watch"]},
    ]
    assert found["ClusterRole", "", role] == render()["ClusterRole", "", role]


def test_releases_of_different_classes_share_a_cluster() -> None:
    """The second brings an operator, its settings, its rights and nothing else, and no object that the first has."""
    first, second = render(), render(SECOND, namespace="flowkiln-gpu")
    assert not first.keys() & second.keys()
    operators = ("ConfigMap", "Deployment", "NetworkPolicy", "Service", "ServiceAccount")
    assert second.keys() == {
        *((kind, "flowkiln-gpu", "flowkiln-operator") for kind in operators),
        ("ClusterRole", "", "flowkiln-operator-gpu"),
        ("ClusterRoleBinding", "", "flowkiln-operator-gpu"),
    }
    role, binding = (second[kind, "", "flowkiln-operator-gpu"] for kind in ("ClusterRole", "ClusterRoleBinding"))
    assert role["rules"] == first["ClusterRole", "", "flowkiln-operator"]["rules"]
    assert binding["roleRef"]["name"] == "flowkiln-operator-gpu"
    assert binding["subjects"] == [{"kind": "ServiceAccount", "name": "flowkiln-operator", "namespace": "flowkiln-gpu"}]
    settings = second["ConfigMap", "flowkiln-gpu", "flowkiln-operator"]["data"]
    assert settings["FLOWKILN_RUN_CLASS"] == "gpu"
    assert "FLOWKILN_RUN_CLASS" not in first["ConfigMap", "flowkiln-system", "flowkiln-operator"]["data"]


def test_a_release_with_a_class_and_namespaces_has_its_rights_there() -> None:
    """The bindings refer to the role of that release."""
    found = render({**SECOND, "namespaces": ["a"]}, namespace="flowkiln-gpu")
    assert found["RoleBinding", "a", "flowkiln-operator-gpu"]["roleRef"]["name"] == "flowkiln-operator-gpu"
    wide = found["ClusterRoleBinding", "", "flowkiln-operator-gpu-discovery"]["roleRef"]["name"]
    assert ("ClusterRole", "", wide) in found


def test_dask_kubernetes_watches_the_same_namespaces() -> None:
    """All, or the ones that are named."""
    assert container(render(), "dask-kubernetes")["args"][0] == "--all-namespaces"
    arguments = container(render({"namespaces": ["a", "b"]}), "dask-kubernetes")["args"]
    assert arguments[:2] == ["--namespace=a", "--namespace=b"]
    assert "--all-namespaces" not in arguments


def test_rights_can_be_left_to_somebody_else() -> None:
    """The ServiceAccounts stay, for somebody to bind roles to."""
    found = render({"rbac": {"create": False, "userRoles": False}, "namespaces": ["a"]})
    assert not any("Role" in kind for kind, _, _ in found)
    assert names(found, "ServiceAccount") == set(CONTROLLERS.values())
    assert names(render({"rbac": {"create": False}}), "ClusterRole") == {"flowkiln-view", "flowkiln-edit"}


def test_prometheus_finds_the_metrics() -> None:
    """A ServiceMonitor selects the Service by its label, and the port by its name."""
    found = render(
        {
            "metrics": {
                "service": {"annotations": {"prometheus.io/scrape": "true"}},
                "serviceMonitor": {"enabled": True, "interval": "10s", "labels": {"release": "prometheus"}},
            }
        }
    )
    service, monitor = (named(found, kind, "flowkiln-operator") for kind in ("Service", "ServiceMonitor"))
    assert service["metadata"]["annotations"] == {"prometheus.io/scrape": "true"}
    assert monitor["spec"]["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    assert monitor["metadata"]["labels"]["release"] == "prometheus"
    (endpoint,) = monitor["spec"]["endpoints"]
    (port,) = service["spec"]["ports"]
    assert (endpoint["port"], endpoint["path"], endpoint["interval"]) == (port["name"], "/metrics", "10s")
    labels = named(found, "Deployment", "flowkiln-operator")["spec"]["template"]["metadata"]["labels"]
    assert service["spec"]["selector"].items() <= labels.items()


def test_a_service_monitor_without_its_service_is_refused() -> None:
    """It would select nothing, and nobody would notice."""
    assert names(render({"metrics": {"service": {"enabled": False}}}), "Service") == set()
    said = refused({"metrics": {"service": {"enabled": False}, "serviceMonitor": {"enabled": True}}})
    assert "metrics.serviceMonitor.enabled needs metrics.service.enabled" in said


@pytest.mark.parametrize("deployment", CONTROLLERS.values())
def test_network_policies(deployment: str) -> None:
    """Controllers reach the API server where that listens, and DNS; or no policy is made at all."""
    assert names(render({"networkPolicy": {"enabled": False}}), "NetworkPolicy") == set()
    egress = named(render({"networkPolicy": {"apiServerPorts": [16443]}}), "NetworkPolicy", deployment)["spec"][
        "egress"
    ]
    assert [(one["port"], one["protocol"]) for rule in egress for one in rule["ports"]] == [
        (16443, "TCP"),
        (53, "UDP"),
        (53, "TCP"),
    ]


@pytest.mark.parametrize(
    ("values", "says", "does_not_say"),
    [
        (
            {},
            ["all namespaces", "definitions stay", "delete flowruns.flowkiln.dev --all", "stays Running"],
            ["EVERY", "No controller"],
        ),
        ({"namespaces": ["a", "b"]}, ["FlowRuns of a, b."], ["all namespaces.", "flowkiln.dev/class"]),
        ({"settings": {"runClass": "gpu"}}, ["all namespaces.", "the label flowkiln.dev/class=gpu"], []),
        ({"crds": {"keep": False}}, ["EVERY Flow and FlowRun"], ["definitions stay"]),
        ({"crds": {"install": False}}, ["admission policies away"], ["EVERY", "definitions stay"]),
        (
            {"daskKubernetes": {"enabled": False}},
            ["No controller of dask-kubernetes"],
            ["deployment/dask-kubernetes", "daskclusters.kubernetes.dask.org"],
        ),
    ],
)
def test_the_notes_say_what_was_installed_and_what_will_stay(
    tmp_path: Path, values: Object, says: list[str], does_not_say: list[str]
) -> None:
    """As these values have it. Helm renders notes for a cluster only, so here they are part of a manifest."""
    copy = tmp_path / "chart"
    shutil.copytree(CHART, copy)
    shutil.copy(CHART / "templates" / "NOTES.txt", copy / "files" / "notes.txt")
    (copy / "templates" / "notes.yaml").write_text(
        'kind: Notes\nmetadata: {name: notes}\ntext: {{ tpl (.Files.Get "files/notes.txt") . | quote }}\n'
    )
    rendered = helm("template", "flowkiln", copy, "--show-only=templates/notes.yaml", values=values)
    text = yaml.safe_load(rendered)["text"]
    assert all(part in text for part in says)
    assert not any(part in text for part in does_not_say)
