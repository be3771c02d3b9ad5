"""What people may write about a cluster reaches its pods: one run that says everything, looked at field by field."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from tests.cluster.harness.commands import wait_until

from .flows import Object, make_flow, make_run
from .runs import Runs, label_of, state
from .watching import Logs, Recording

SOURCE = {
    "look.py": """
        import json
        import os
        import time
        from pathlib import Path

        import distributed

        VARIABLES = ("PLAIN", "FROM_SECRET", "FROM_MAP", "FROM_FIELD", "ALL_level", "FLOWKILN_POD_NAME", "HOME")
        FILES = ("/config/greeting", "/secrets/key", "/secrets/left-out", "/tmp/shared/greeting")


        def both():
            with distributed.worker_client(separate_thread=False) as client:
                client.wait_for_workers(4, timeout=120)
            return list(range(24))


        def around(number):
            time.sleep(0.3)
            worker = distributed.get_worker()
            found = {
                "variables": {name: os.environ.get(name) for name in VARIABLES},
                "files": {name: Path(name).read_text() if os.path.exists(name) else None for name in FILES},
                "threads": worker.state.nthreads,
                "memory": worker.memory_manager.memory_limit,
                "pid": os.getpid(),
                "user": os.getuid(),
                "scratch": scratch(),
            }
            os.write(1, b"SEEN " + json.dumps(found).encode() + b"\\n")


        def scratch():
            Path("/scratch/file").write_text("x")
            return os.statvfs("/scratch").f_blocks * os.statvfs("/scratch").f_frsize
    """
}
CHILDREN = 24
MIB = 1024**2
PRIORITY = "flowkiln-test"

POD_TEMPLATE: Object = {
    "labels": {"team": "climate"},
    "annotations": {"example.org/note": "a note"},
    "nodeSelector": {"kubernetes.io/os": "linux"},
    "tolerations": [{"key": "team", "operator": "Equal", "value": "climate", "effect": "NoSchedule"}],
    "affinity": {
        "nodeAffinity": {
            "requiredDuringSchedulingIgnoredDuringExecution": {
                "nodeSelectorTerms": [{"matchExpressions": [{"key": "kubernetes.io/os", "operator": "Exists"}]}]
            }
        },
        "podAntiAffinity": {
            "preferredDuringSchedulingIgnoredDuringExecution": [
                {
                    "weight": 5,
                    "podAffinityTerm": {
                        "topologyKey": "kubernetes.io/hostname",
                        "labelSelector": {"matchLabels": {"team": "climate"}},
                    },
                }
            ]
        },
    },
    "topologySpreadConstraints": [
        {
            "maxSkew": 1,
            "topologyKey": "kubernetes.io/hostname",
            "whenUnsatisfiable": "ScheduleAnyway",
            "labelSelector": {"matchLabels": {"team": "climate"}},
        }
    ],
    "volumes": [
        {"name": "config", "configMap": {"name": "words", "defaultMode": 0o444}},
        {
            "name": "secrets",
            "secret": {"secretName": "keys", "items": [{"key": "one", "path": "key", "mode": 0o440}], "optional": True},
        },
        {"name": "scratch", "emptyDir": {"medium": "Memory", "sizeLimit": "8Mi"}},
    ],
    "volumeMounts": [
        {"name": "config", "mountPath": "/config", "readOnly": True},
        {"name": "config", "mountPath": "/tmp/shared/greeting", "subPath": "greeting"},
        {"name": "secrets", "mountPath": "/secrets"},
        {"name": "scratch", "mountPath": "/scratch"},
    ],
    "env": [
        {"name": "PLAIN", "value": "as it is"},
        {"name": "FROM_SECRET", "valueFrom": {"secretKeyRef": {"name": "keys", "key": "one"}}},
        {"name": "FROM_MAP", "valueFrom": {"configMapKeyRef": {"name": "words", "key": "greeting"}}},
        {"name": "FROM_FIELD", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['team']"}}},
        {"name": "HOME", "value": "/nowhere"},
    ],
    "envFrom": [{"prefix": "ALL_", "configMapRef": {"name": "words"}}],
}

PARKED_VOLUMES: list[Object] = [
    {"name": "claimed", "persistentVolumeClaim": {"claimName": "no-such-claim", "readOnly": True}},
    {
        "name": "driven",
        "csi": {"driver": "csi.example.org", "readOnly": True, "fsType": "ext4", "volumeAttributes": {"a": "b"}},
    },
]


@dataclass(frozen=True)
class Observed:
    """What was seen of the run that says everything, and of one whose pods can go nowhere."""

    run: Object
    workers: list[Object]
    scheduler: Object
    account: Object
    seen: Mapping[str, list[Any]]  # by worker pod
    parked: list[Object]  # pods


@pytest.fixture(scope="module")
def priority_class(shared_runs: Runs) -> Iterator[str]:
    """Make a PriorityClass, which belongs to no namespace."""
    name = f"{PRIORITY}-{shared_runs.namespace}"
    shared_runs.kubectl("create", "priorityclass", name, "--value=7", "--description=for tests")
    yield name
    shared_runs.kubectl("delete", "priorityclass", name)


@pytest.fixture(scope="module")
def observed(shared_runs: Runs, priority_class: str) -> Observed:
    """Run the flow once, for all tests of this module."""
    runs = shared_runs
    runs.kubectl("create", "secret", "generic", "keys", "--from-literal=one=1st", "--from-literal=left-out=2nd")
    runs.kubectl("create", "secret", "docker-registry", "pull", "--docker-username=u", "--docker-password=p")
    runs.kubectl("create", "configmap", "words", "--from-literal=greeting=hello", "--from-literal=level=high")
    runs.kubectl("create", "serviceaccount", "worker-identity")
    everything = {
        "image": runs.installation.images.operator,  # it has flowkiln installed too, and is not the default
        "imagePullPolicy": "IfNotPresent",
        "imagePullSecrets": [{"name": "pull"}],
        "serviceAccountName": "worker-identity",
        "workers": {
            "replicas": 2,
            "processes": 2,
            "threads": 3,
            "ttl": "90s",
            "resources": {"requests": {"cpu": "10m", "memory": "64Mi"}, "limits": {"memory": "1Gi"}},
        },
        "scheduler": {"resources": {"requests": {"cpu": "20m"}, "limits": {"memory": "2Gi"}}},
        "podTemplate": {**POD_TEMPLATE, "priorityClassName": priority_class},
    }
    tasks: list[Object] = [
        {"name": "both", "function": "look:both"},
        {"name": "around", "function": "look:around", "inputs": [{"name": "number", "task": "both", "map": True}]},
    ]
    with runs.record_pods() as pods, runs.follow_logs() as logs:
        runs.apply(
            make_flow("shaped", *tasks, source=SOURCE, cluster=everything),
            make_flow("parked", *tasks, source=SOURCE, cluster=parked()),
            make_run("everything", "shaped"),
            make_run("parked", "parked"),
        )
        # Before the run ends: its account goes with its cluster.
        name = f"flowrun-{label_of(runs.flow_run('everything'))}"
        wait_until("the run has its account", lambda: runs.exists("serviceaccount", name), seconds=60)
        account = runs.get("serviceaccount", name)
        run = runs.finish("everything")
        wait_until("all have told what they see", lambda: sum(map(len, seen(logs).values())) == CHILDREN, seconds=60)
        return Observed(
            run=run,
            workers=pods_of(pods, run, "worker"),
            scheduler=pods_of(pods, run, "scheduler")[0],
            account=account,
            seen=seen(logs),
            parked=pods_of(pods, runs.flow_run("parked"), ""),
        )


def parked() -> Object:
    """Return a cluster whose pods are never scheduled: what it says can be read in their specs all the same."""
    mounts = [{"name": volume["name"], "mountPath": f"/{volume['name']}"} for volume in PARKED_VOLUMES]
    return {
        "serviceAccountAnnotations": {"example.org/role": "writer"},
        "imagePullSecrets": [{"name": "pull"}],
        "podTemplate": {
            "volumes": PARKED_VOLUMES,
            "volumeMounts": mounts,
            "nodeSelector": {"example.org/no-node": "has-this"},
        },
    }


def pods_of(pods: Recording, run: Object, component: str) -> list[Object]:
    """Return a run's pods of a kind as they were last seen."""
    last = {
        version.name: version.object
        for version in pods.versions
        if version.object["metadata"]["labels"]["flowkiln.dev/run"] == label_of(run)
        and component in version.object["metadata"]["labels"]["dask.org/component"]
    }
    return list(last.values())


def seen(logs: Logs) -> Mapping[str, list[Any]]:
    """Return what the tasks have seen, by the pod that they were in."""
    found: dict[str, list[Any]] = defaultdict(list)
    for line in logs.lines("worker"):
        if line.startswith("SEEN "):
            said = json.loads(line.removeprefix("SEEN "))
            found[said["variables"]["FLOWKILN_POD_NAME"]].append(said)
    return found


def containers(pod: Object) -> dict[str, Object]:
    """Return a pod's containers by name."""
    return {container["name"]: container for container in pod["spec"]["containers"]}


def test_run_succeeds_with_every_setting(observed: Observed) -> None:
    """All of it together makes pods that run."""
    assert state(observed.run) == "Success"


def test_workers_have_their_number_and_shape(observed: Observed) -> None:
    """Two pods with two processes each, of three threads, that share the pod's memory limit."""
    assert len(observed.workers) == 2
    assert set(observed.seen) == {pod["metadata"]["name"] for pod in observed.workers}
    for looks in observed.seen.values():
        assert len({look["pid"] for look in looks}) == 2
        assert {look["threads"] for look in looks} == {3}
        assert {look["memory"] for look in looks} == {512 * MIB}
    for pod in observed.workers:
        assert containers(pod)["worker"]["resources"] == {
            "requests": {"cpu": "10m", "memory": "64Mi"},
            "limits": {"memory": "1Gi"},
        }


def test_scheduler_has_its_shape(observed: Observed) -> None:
    """Requests and limits are on the Dask scheduler's container, and silent workers are given up after their ttl."""
    scheduler = containers(observed.scheduler)["scheduler"]
    assert scheduler["resources"]["limits"] == {"memory": "2Gi"}
    assert scheduler["resources"]["requests"]["cpu"] == "20m"
    variables = {variable["name"]: variable.get("value") for variable in scheduler["env"]}
    assert variables["DASK_DISTRIBUTED__SCHEDULER__WORKER_TTL"] == "90s"


def test_image_and_its_secrets_are_those_that_were_named(observed: Observed, shared_runs: Runs) -> None:
    """Every container runs the image; the pull secret is on the pods and on the run's own ServiceAccount."""
    for pod in (*observed.workers, observed.scheduler):
        for container in pod["spec"]["containers"]:
            assert container["image"] == shared_runs.installation.images.operator
            assert container["imagePullPolicy"] == "IfNotPresent"
        assert {"name": "pull"} in pod["spec"]["imagePullSecrets"]
    assert observed.account["imagePullSecrets"] == [{"name": "pull"}]


def test_workers_have_the_identity_that_was_named_without_its_token(observed: Observed) -> None:
    """Workers run as serviceAccountName, the scheduler's pod as the run's own; neither gets a token by itself."""
    assert {pod["spec"]["serviceAccountName"] for pod in observed.workers} == {"worker-identity"}
    assert observed.scheduler["spec"]["serviceAccountName"] == observed.account["metadata"]["name"]
    for pod in (*observed.workers, observed.scheduler):
        assert pod["spec"]["automountServiceAccountToken"] is False


def test_annotations_are_on_the_runs_own_account(observed: Observed, shared_runs: Runs) -> None:
    """serviceAccountAnnotations, by which clouds give pods an identity, are on the account that workers have then."""
    (account,) = {pod["spec"]["serviceAccountName"] for pod in observed.parked}
    annotations = shared_runs.get("serviceaccount", account)["metadata"]["annotations"]
    assert annotations["example.org/role"] == "writer"


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("PLAIN", "as it is"),
        ("FROM_SECRET", "1st"),
        ("FROM_MAP", "hello"),
        ("FROM_FIELD", "climate"),
        ("ALL_level", "high"),
        ("HOME", "/tmp"),
    ],
)
def test_variables_are_there_for_tasks(observed: Observed, variable: str, value: str) -> None:
    """Whatever a variable's value comes from, tasks find it; what Flowkiln sets itself wins."""
    assert {look["variables"][variable] for looks in observed.seen.values() for look in looks} == {value}


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("/config/greeting", "hello"),
        ("/secrets/key", "1st"),
        ("/secrets/left-out", None),
        ("/tmp/shared/greeting", "hello"),
    ],
)
def test_files_are_there_for_tasks(observed: Observed, path: str, text: str | None) -> None:
    """ConfigMaps and Secrets are mounted, whole or by keys, also one file below /tmp."""
    assert {look["files"][path] for looks in observed.seen.values() for look in looks} == {text}


def test_folder_in_memory_has_its_size(observed: Observed) -> None:
    """Tasks can write into an emptyDir, which is a file system of the size that was given."""
    assert {look["scratch"] for looks in observed.seen.values() for look in looks} == {8 * MIB}


@pytest.mark.parametrize("field", ["nodeSelector", "affinity", "topologySpreadConstraints"])
def test_placement_is_in_all_pods(observed: Observed, field: str) -> None:
    """Nothing of it is lost on its way through the DaskCluster."""
    for pod in (*observed.workers, observed.scheduler):
        assert pod["spec"][field] == POD_TEMPLATE[field]


def test_tolerations_and_priority_are_in_all_pods(observed: Observed, priority_class: str) -> None:
    """Our own tolerations stand beside those of the template; the PriorityClass gives the pods its priority."""
    for pod in (*observed.workers, observed.scheduler):
        assert POD_TEMPLATE["tolerations"][0] in pod["spec"]["tolerations"]
        assert (pod["spec"]["priorityClassName"], pod["spec"]["priority"]) == (priority_class, 7)


def test_labels_and_annotations_are_on_all_pods(observed: Observed) -> None:
    """The template's labels and annotations are on the pods, beside ours."""
    for pod in (*observed.workers, observed.scheduler):
        assert pod["metadata"]["labels"]["team"] == "climate"
        assert pod["metadata"]["annotations"]["example.org/note"] == "a note"


def test_volumes_that_others_provide_reach_the_pods(observed: Observed) -> None:
    """PersistentVolumeClaims and CSI volumes are in the pods as they were written."""
    assert len(observed.parked) == 2
    for pod in observed.parked:
        volumes = {volume["name"]: volume for volume in pod["spec"]["volumes"]}
        assert [volumes[volume["name"]] for volume in PARKED_VOLUMES] == PARKED_VOLUMES
        for container in pod["spec"]["containers"]:
            paths = {mount["mountPath"] for mount in container["volumeMounts"]}
            assert {"/claimed", "/driven"} <= paths
