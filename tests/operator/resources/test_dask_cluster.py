"""The DaskCluster of a run, as a value."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from flowkiln.api.names import RUN_LABEL, is_reserved_key
from flowkiln.api.plan import Plan
from flowkiln.api.pods import is_reserved_path, is_reserved_variable, is_reserved_volume
from flowkiln_operator.agent.settings import read_settings
from flowkiln_operator.resources.dask_cluster import ClusterConfig, dask_cluster, secret_references
from flowkiln_operator.resources.plan import PlanWithSources
from flowkiln_operator.resources.run import is_controlled_by
from tests.charts.rendering import LOADER
from tests.operator.resources.test_resources import RUN, make_plan

TASKS = [{"name": "a", "function": "m:f"}]
NAME = RUN.cluster_name(1)


def build(
    spec: dict[str, Any] | None = None, *, sources: tuple[str, ...] = (), runtime_secrets: tuple[str, ...] = ()
) -> dict[str, Any]:
    """Return the DaskCluster of a Flow with this spec."""
    plan: Plan = make_plan({"tasks": TASKS, **(spec or {})})
    cluster_config = ClusterConfig("runtime:1", runtime_secrets)
    return dask_cluster(
        RUN, 1, PlanWithSources(plan, sources), tls_secret="certificates", cluster_config=cluster_config
    )


def pods(cluster: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the two kinds of pods."""
    return {kind: cluster["spec"][kind]["spec"] for kind in ("scheduler", "worker")}


def containers(cluster: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the three containers by name."""
    return {container["name"]: container for pod in pods(cluster).values() for container in pod["containers"]}


def variables(container: dict[str, Any]) -> dict[str, str]:
    """Return the plain environment variables of a container."""
    return {variable["name"]: variable.get("value", "") for variable in container["env"]}


def mounts(container: dict[str, Any]) -> dict[str, str]:
    """Return the volume at each path of a container."""
    return {mount["mountPath"]: mount["name"] for mount in container["volumeMounts"]}


FULL = {
    "source": {"files": [{"path": "m.py", "content": "x"}]},
    "tasks": [
        {
            "name": "a",
            "function": "m:f",
            "inputs": [
                {"name": "user", "valueFrom": {"secretKeyRef": {"name": "database", "key": "user"}}},
                {"name": "password", "valueFrom": {"secretKeyRef": {"name": "database", "key": "password"}}},
                {"name": "token", "valueFrom": {"secretKeyRef": {"name": "service", "key": "token"}}},
            ],
        }
    ],
    "cluster": {
        "image": "weather:2",
        "imagePullPolicy": "Always",
        "imagePullSecrets": [{"name": "pull"}],
        "serviceAccountName": "reader",
        "workers": {
            "replicas": 4,
            "processes": 2,
            "threads": 3,
            "ttl": "1m30s",
            "resources": {"requests": {"cpu": 1}, "limits": {"memory": "2Gi"}},
        },
        "scheduler": {"resources": {"requests": {"memory": "1Gi"}}},
        "agent": {"resources": {"limits": {"cpu": 2, "memory": "4Gi"}}},
        "podTemplate": {
            "labels": {"team": "climate", "flowkiln.dev/run": "mine", "dask.org/component": "mine"},
            "annotations": {"note": "kept", "flowkiln.dev/run-name": "mine"},
            "nodeSelector": {"pool": "batch"},
            "tolerations": [
                {"key": "batch", "operator": "Exists"},
                {"key": "node.kubernetes.io/not-ready", "operator": "Exists", "effect": "NoExecute"},
            ],
            "affinity": {"nodeAffinity": {}},
            "priorityClassName": "low",
            "topologySpreadConstraints": [{"maxSkew": 1}],
            "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}],
            "volumeMounts": [{"name": "data", "mountPath": "/data"}],
            "env": [
                {"name": "LEVEL", "value": "high"},
                {"name": "HOME", "value": "/root"},
                {"name": "DASK_DISTRIBUTED__COMM__REQUIRE_ENCRYPTION", "value": "false"},
            ],
            "envFrom": [{"configMapRef": {"name": "settings"}}],
        },
    },
}


@pytest.mark.parametrize("spec", [{}, FULL], ids=["small", "full"])
def test_all_pods_have_the_restricted_profile(spec: dict[str, Any]) -> None:
    """Whatever the podTemplate says."""
    for pod in pods(build(spec, sources=("m.py",))).values():
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert pod["automountServiceAccountToken"] is False
        assert not {"hostNetwork", "hostPID", "hostIPC"} & pod.keys()
        for container in pod["containers"]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "runAsNonRoot": True,
                "capabilities": {"drop": ["ALL"]},
            }
            assert mounts(container)["/tmp"] == "flowkiln-tmp"


def test_only_the_agent_gets_a_token_and_the_plan() -> None:
    """Workers and scheduler run user code without any right in Kubernetes."""
    for name, container in containers(build()).items():
        assert ("/var/run/secrets/flowkiln" in mounts(container)) == (name == "agent")
        assert ("/etc/flowkiln/plan" in mounts(container)) == (name == "agent")
    assert [volume for volume in pods(build())["worker"]["volumes"] if "projected" in volume] == []


def test_everything_speaks_tls_only() -> None:
    """Scheduler, agent and workers have the same CA, and refuse what is not encrypted."""
    built = containers(build())
    for container in built.values():
        assert mounts(container)["/etc/flowkiln/tls"] == "flowkiln-tls"
        assert variables(container)["DASK_DISTRIBUTED__COMM__REQUIRE_ENCRYPTION"] == "true"
        for role in ("SCHEDULER", "WORKER", "CLIENT"):
            assert variables(container)[f"DASK_DISTRIBUTED__COMM__TLS__{role}__CERT"] == "/etc/flowkiln/tls/tls.crt"
    assert "tls" in built["scheduler"]["args"]
    assert built["worker"]["args"][2] == f"tls://{NAME}-scheduler.team.svc.cluster.local:8786"
    assert variables(built["worker"])["DASK_SCHEDULER_ADDRESS"] == built["worker"]["args"][2]
    assert variables(built["agent"])["FLOWKILN_SCHEDULER"] == "tls://127.0.0.1:8786"


def test_the_scheduler_offers_nothing_over_http_but_its_health() -> None:
    """Its API is what a controller that trusts it could be attacked through."""
    assert variables(containers(build())["scheduler"])["DASK_DISTRIBUTED__SCHEDULER__HTTP__ROUTES"] == (
        '["distributed.http.health"]'
    )


def test_tasks_may_use_multiprocessing() -> None:
    """Dask starts daemonic worker processes by default, which may not have children."""
    assert variables(containers(build())["worker"])["DASK_DISTRIBUTED__WORKER__DAEMON"] == "false"


def test_a_restart_of_the_agent_does_not_cut_the_workers_off() -> None:
    """The pod is not ready then, and the Service lists it all the same."""
    service = build()["spec"]["scheduler"]["service"]
    assert service["publishNotReadyAddresses"] is True
    assert service["selector"] == {"dask.org/cluster-name": NAME, "dask.org/component": "scheduler"}


def test_no_idle_timeout_takes_the_cluster_away() -> None:
    """The operator decides when a cluster is deleted."""
    assert build()["spec"]["idleTimeout"] == 0


def test_workers_are_as_the_flow_says() -> None:
    """Number, processes, threads, time to live, and each process's share of the memory limit."""
    built = build(FULL)
    worker = containers(built)["worker"]
    assert built["spec"]["worker"]["replicas"] == 4
    arguments = worker["args"]
    assert arguments[arguments.index("--nworkers") + 1] == "2"
    assert arguments[arguments.index("--nthreads") + 1] == "3"
    assert arguments[arguments.index("--memory-limit") + 1] == str(2**30)
    assert worker["resources"] == {"requests": {"cpu": "1"}, "limits": {"memory": "2Gi"}}
    scheduler = containers(built)["scheduler"]
    assert variables(scheduler)["DASK_DISTRIBUTED__SCHEDULER__WORKER_TTL"] == "90s"
    assert scheduler["resources"] == {"requests": {"memory": "1Gi"}}
    assert containers(built)["agent"]["resources"] == {"limits": {"cpu": "2", "memory": "4Gi"}}


def test_the_agent_requests_what_it_needs_to_start() -> None:
    """Without a word of the flow there are requests and no limits: what a flow loads nobody knows."""
    assert containers(build())["agent"]["resources"] == {"requests": {"cpu": "100m", "memory": "128Mi"}}


@pytest.mark.parametrize(
    ("limit", "share"),
    [
        ("2Gi", str(2**31)),
        ("1.5Gi", str(3 * 2**29)),
        ("500M", "500000000"),
        ("2e9", "2000000000"),
        ("1073741824000m", str(2**30)),
        (1000, "1000"),
        ("0", "auto"),
        (None, "auto"),
    ],
)
def test_the_memory_limit_is_divided_only_if_there_is_one(limit: str | int | None, share: str) -> None:
    """Dask's own guess knows the machine, not the container's requests."""
    resources = {"limits": {"memory": limit}} if limit is not None else {}
    arguments = containers(build({"cluster": {"workers": {"resources": resources}}}))["worker"]["args"]
    assert arguments[arguments.index("--memory-limit") + 1] == share


def test_identities_are_the_runs_own_unless_the_workers_have_another() -> None:
    """The agent's identity is never the user's choice: the admission policy knows it by its name."""
    assert {pod["serviceAccountName"] for pod in pods(build()).values()} == {RUN.service_account}
    built = pods(build(FULL))
    assert built["scheduler"]["serviceAccountName"] == RUN.service_account
    assert built["worker"]["serviceAccountName"] == "reader"


def test_the_image_is_the_flows_or_the_operators() -> None:
    """One image for all three containers."""
    assert {container["image"] for container in containers(build()).values()} == {"runtime:1"}
    assert all("imagePullPolicy" not in container for container in containers(build()).values())
    for container in containers(build(FULL)).values():
        assert (container["image"], container["imagePullPolicy"]) == ("weather:2", "Always")
    assert all(pod["imagePullSecrets"] == [{"name": "pull"}] for pod in pods(build(FULL)).values())


def test_the_runtime_image_has_pull_secrets_of_its_own() -> None:
    """They go along with that image only, after the flow's own, each once."""

    def secrets(**cluster: Any) -> set[tuple[str, ...]]:
        built = build({"cluster": cluster}, runtime_secrets=("registry", "mirror"))
        return {tuple(secret["name"] for secret in pod["imagePullSecrets"]) for pod in pods(built).values()}

    assert secrets() == {("registry", "mirror")}
    assert secrets(imagePullSecrets=[{"name": "mirror"}, {"name": "own"}]) == {("mirror", "own", "registry")}
    assert secrets(image="weather:2", imagePullSecrets=[{"name": "own"}]) == {("own",)}
    assert all("imagePullSecrets" not in pod for pod in pods(build()).values())


def test_secret_inputs_are_mounted_in_workers_only_and_only_the_keys_that_are_named() -> None:
    """The scheduler's pod, where the agent reports from, never sees them."""
    built = build(FULL)
    worker = pods(built)["worker"]
    secrets = {volume["name"]: volume["secret"] for volume in worker["volumes"] if "secret" in volume}
    database = secrets[mounts(containers(built)["worker"])["/var/run/flowkiln/secrets/database"]]
    assert database["items"] == [{"key": "user", "path": "user"}, {"key": "password", "path": "password"}]
    assert "/var/run/flowkiln/secrets/service" in mounts(containers(built)["worker"])
    named = [volume.get("secret", {}).get("secretName") for volume in pods(built)["scheduler"]["volumes"]]
    assert not {"database", "service"} & set(named)
    assert len(secret_references(make_plan(FULL).spec)) == 3


def test_source_files_are_mounted_where_python_finds_them() -> None:
    """In agent and workers; without sources PYTHONPATH is the image's own."""
    built = build(FULL, sources=("m.py", "lib/n.py"))
    for name in ("agent", "worker"):
        assert mounts(containers(built)[name])["/etc/flowkiln/source"] == "flowkiln-source"
        assert variables(containers(built)[name])["PYTHONPATH"] == "/etc/flowkiln/source"
    volume = next(v for v in pods(built)["worker"]["volumes"] if v["name"] == "flowkiln-source")
    assert volume["configMap"]["items"] == [
        {"key": "source-0", "path": "m.py"},
        {"key": "source-1", "path": "lib/n.py"},
    ]
    assert all("PYTHONPATH" not in variables(container) for container in containers(build()).values())


def test_the_pod_template_adds_and_never_takes_over() -> None:
    """Ours win: labels that select, variables that encrypt, tolerations that make losses known soon."""
    built = build(FULL)
    for kind, pod in pods(built).items():
        metadata = built["spec"][kind]["metadata"]
        assert metadata == {"labels": {"team": "climate"}, "annotations": {"note": "kept"}}
        assert pod["nodeSelector"] == {"pool": "batch"}
        assert pod["priorityClassName"] == "low"
        assert pod["affinity"] == {"nodeAffinity": {}}
        assert pod["topologySpreadConstraints"] == [{"maxSkew": 1}]
        assert {"key": "batch", "operator": "Exists"} in pod["tolerations"]
        lost = [t for t in pod["tolerations"] if t["key"].startswith("node.kubernetes.io/")]
        assert [t["tolerationSeconds"] for t in lost] == [30, 30]
        assert "data" in [volume["name"] for volume in pod["volumes"]]
    for container in containers(built).values():
        names = [variable["name"] for variable in container["env"]]
        assert len(names) == len(set(names)), "a later one would win silently"
        assert variables(container)["LEVEL"] == "high"
        assert variables(container)["HOME"] == "/tmp"
        assert variables(container)["DASK_DISTRIBUTED__COMM__REQUIRE_ENCRYPTION"] == "true"
        assert mounts(container)["/data"] == "data"
        assert container["envFrom"] == [{"configMapRef": {"name": "settings"}}]


@pytest.mark.parametrize(
    "path", ["/etc/flowkiln", "/etc/flowkiln/tls/", "/tmp", "/var/run/secrets/flowkiln", "/var/run/flowkiln/secrets/x"]
)
def test_no_mount_of_the_pod_template_hides_one_of_ours(path: str) -> None:
    """Not even one further down."""
    template = {"volumes": [{"name": "mine", "emptyDir": {}}], "volumeMounts": [{"name": "mine", "mountPath": path}]}
    for container in containers(build({"cluster": {"podTemplate": template}})).values():
        assert "mine" not in mounts(container).values()


def test_all_that_is_ours_is_refused_in_a_pod_template() -> None:
    """A volume, path or setting of Flowkiln that validation does not know would be replaced without a word."""
    built = build(FULL)
    for pod in pods(built).values():
        assert all(is_reserved_volume(volume["name"]) for volume in pod["volumes"] if volume["name"] != "data")
    for container in containers(built).values():
        assert all(is_reserved_path(path) for path, volume in mounts(container).items() if volume != "data")
        ours = {name for name in variables(container) if name.startswith(("FLOWKILN", "DASK_DISTRIBUTED__COMM"))}
        assert ours
        assert all(map(is_reserved_variable, ours))
    assert all(map(is_reserved_key, (*built["metadata"]["labels"], *built["metadata"]["annotations"])))


def test_the_agent_finds_what_its_pod_has() -> None:
    """Operator and agent mean the same variables, folders and port."""
    agent = containers(build(FULL))["agent"]
    service = {"KUBERNETES_SERVICE_HOST": "10.0.0.1", "FLOWKILN_POD_UID": "1234"}
    settings = read_settings({**variables(agent), **service})
    assert settings.cluster_number == 1
    assert settings.scheduler == variables(agent)["FLOWKILN_SCHEDULER"]
    assert {str(settings.plan.parent), str(settings.token.parent)} <= mounts(agent).keys()
    assert [port["containerPort"] for port in agent["ports"]] == [settings.health_port]


def test_it_belongs_to_the_run_and_says_so_to_its_pods() -> None:
    """dask-kubernetes copies labels and annotations of a DaskCluster to the pods."""
    built = build()
    assert is_controlled_by(built, RUN)
    assert built["metadata"]["labels"][RUN_LABEL] == RUN.base
    assert built["metadata"]["annotations"] == {"flowkiln.dev/run-name": "monthly"}
    assert built["metadata"]["name"] == NAME


def test_it_has_the_shape_that_dask_kubernetes_gives_its_own_clusters() -> None:
    """Ports, their names, and the Service's selector are what its controller and scheduler rely on."""
    from dask_kubernetes.operator import make_cluster_spec

    theirs = make_cluster_spec(NAME, image="runtime:1", n_workers=1)["spec"]
    ours = build()["spec"]
    assert set(theirs) == set(ours)
    assert theirs["scheduler"]["service"].items() <= ours["scheduler"]["service"].items()
    ports = {port["name"]: port["containerPort"] for port in theirs["scheduler"]["spec"]["containers"][0]["ports"]}
    assert {port["name"]: port["containerPort"] for port in containers(build())["scheduler"]["ports"]} == ports


def leaves(schema: dict[str, Any], value: Any, path: str = "") -> Iterator[str]:
    """Yield the fields of a value that a structural schema does not know, and so prunes."""
    if schema.get("x-kubernetes-preserve-unknown-fields"):
        return
    if isinstance(value, dict):
        properties, additional = schema.get("properties"), schema.get("additionalProperties")
        for key, item in value.items():
            if properties is not None and key in properties:
                yield from leaves(properties[key], item, f"{path}.{key}")
            elif additional is None or properties is not None:
                yield f"{path}.{key}"
            elif isinstance(additional, dict):
                yield from leaves(additional, item, f"{path}.{key}")
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from leaves(schema.get("items", {}), item, f"{path}[{index}]")


@pytest.mark.parametrize("spec", [{}, FULL], ids=["small", "full"])
def test_nothing_of_it_is_pruned_by_the_schema_of_dask_kubernetes(spec: dict[str, Any]) -> None:
    """Its schema is older than Kubernetes: what it does not know would silently be gone."""
    folder = "dask_kubernetes/operator/deployment/helm/dask-kubernetes-operator/crds/daskcluster.yaml"
    path = Path(str(importlib.metadata.distribution("dask-kubernetes").locate_file(folder)))
    definition = yaml.load(path.read_text(), Loader=LOADER)
    schema = definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
    assert list(leaves(schema, build(spec, sources=("m.py",))["spec"])) == []
