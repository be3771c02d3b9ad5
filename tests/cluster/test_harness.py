"""What every other cluster test stands on: that the cluster is a real one, and that nothing of it stays behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from .harness import choose
from .harness.api import api
from .harness.commands import CommandError, wait_until
from .harness.interface import Cluster, HarnessError, Images
from .harness.node import cgroups, record
from .harness.node.cluster import NodeCluster, clean_up
from .harness.places import CHECKOUT

SECURITY = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "readOnlyRootFilesystem": True,
    "runAsNonRoot": True,
    "seccompProfile": {"type": "RuntimeDefault"},
}


def make_pod(namespace: str, image: str, program: str, *, security: dict[str, Any] | None = None) -> str:
    """Return the manifest of a pod that runs a Python program once."""
    container = {
        "name": "main",
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "command": ["python3", "-c", program],
        "securityContext": SECURITY if security is None else security,
    }
    return json.dumps(
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "probe", "namespace": namespace},
            "spec": {"restartPolicy": "Never", "terminationGracePeriodSeconds": 1, "containers": [container]},
        }
    )


def run_pod(cluster: Cluster, namespace: str, image: str, program: str) -> str:
    """Run a program in a pod to its end, and return its log."""
    in_namespace = f"--namespace={namespace}"
    cluster.kubectl("create", "--filename=-", input=make_pod(namespace, image, program))
    wait_for_phase(cluster, namespace, "Succeeded")
    return cluster.kubectl("logs", "probe", in_namespace)


def wait_for_phase(cluster: Cluster, namespace: str, phase: str) -> None:
    """Wait until the pod `probe` is in this phase; fail at once when it has failed."""

    def reached() -> bool:
        pod = api(cluster.kubeconfig).get("pods", "probe", namespace)
        assert pod is not None
        if pod["status"]["phase"] == "Failed":
            raise AssertionError(cluster.kubectl("logs", "probe", f"--namespace={namespace}"))
        return bool(pod["status"]["phase"] == phase)

    wait_until(f"the pod is {phase}", reached, seconds=60)


def test_node_is_ready(cluster: Cluster) -> None:
    """Every node of the cluster takes pods."""
    ready = "jsonpath={.items[*].status.conditions[?(@.type=='Ready')].status}"
    assert set(cluster.kubectl("get", "nodes", f"--output={ready}").split()) == {"True"}


def test_pod_runs_under_the_restricted_profile(cluster: Cluster, namespace: str, images: Images) -> None:
    """The runtime image runs as a user with a name and no rights, and its log can be read."""
    program = "import getpass, os, flowkiln; print(getpass.getuser(), os.getuid())"
    assert run_pod(cluster, namespace, images.runtime, program).split() == ["flowkiln", "1000"]


def test_operator_image_holds_both_controllers(cluster: Cluster, namespace: str, images: Images) -> None:
    """One image serves for our operator and for dask-kubernetes' controller."""
    program = "import flowkiln_operator, kopf, dask_kubernetes.operator.controller; print('both')"
    assert run_pod(cluster, namespace, images.operator, program).split()[-1] == "both"


def test_namespace_refuses_a_pod_with_more_rights(cluster: Cluster, namespace: str, images: Images) -> None:
    """The restricted profile is enforced, so that a pod of ours that needs more fails its test."""
    with pytest.raises(CommandError, match="violates PodSecurity"):
        cluster.kubectl("create", "--filename=-", input=make_pod(namespace, images.runtime, "", security={}))


def test_service_resolves_and_answers_from_a_pod(cluster: Cluster, namespace: str, images: Images) -> None:
    """Cluster DNS knows services, and a service's address leads to its server."""
    program = (
        "import socket;"
        "print(socket.gethostbyname('kubernetes.default'));"
        "socket.create_connection(('kubernetes.default.svc.cluster.local', 443), 10).close();"
        "print('connected')"
    )
    address = cluster.kubectl("get", "service", "kubernetes", "--output=jsonpath={.spec.clusterIP}")
    assert run_pod(cluster, namespace, images.runtime, program).split() == [address, "connected"]


def test_exec_runs_a_command_in_a_pod(cluster: Cluster, namespace: str, images: Images) -> None:
    """A command in a running pod can be run, and its output comes back."""
    cluster.kubectl("create", "--filename=-", input=make_pod(namespace, images.runtime, "import time; time.sleep(600)"))
    wait_for_phase(cluster, namespace, "Running")
    said = cluster.kubectl("exec", "probe", f"--namespace={namespace}", "--", "sh", "-c", "echo here")
    assert said == "here\n"


def test_audit_log_tells_who_wrote(own_cluster: Cluster, namespace: str) -> None:
    """Each write is in the audit log with its writer, so that a test can count an operator's writes."""
    writer = f"system:serviceaccount:{namespace}:default"
    in_namespace = f"--namespace={namespace}"
    own_cluster.kubectl(
        "create", "rolebinding", "writer", "--clusterrole=edit", f"--serviceaccount={namespace}:default", in_namespace
    )
    own_cluster.kubectl("create", "configmap", "written", in_namespace, f"--as={writer}")
    writers = [
        event["impersonatedUser"]["username"]
        for event in own_cluster.audit_events()
        if event["verb"] == "create" and event.get("objectRef", {}).get("namespace") == namespace
        if event["objectRef"].get("name") == "written" and event["responseStatus"]["code"] == 201
    ]
    assert writers == [writer]


def test_command_runs_in_the_network_of_the_pods(own_cluster: Cluster) -> None:
    """A test can reach what only the cluster's own network reaches."""
    program = own_cluster.exec_in_network(["sh", "-c", "kubectl get --raw=/readyz"])
    assert program.stdout == "ok"


def test_api_server_stops_and_comes_back(own_cluster: Cluster, namespace: str) -> None:
    """A test can take the API server away for a while, and what was stored is there again afterwards."""
    with own_cluster.api_server_down(), pytest.raises(CommandError):
        own_cluster.kubectl("get", "namespace", namespace, "--request-timeout=5s")
    assert own_cluster.kubectl("get", "namespace", namespace, "--output=name") == f"namespace/{namespace}\n"


def test_two_clusters_at_once_do_not_meet(own_cluster: Cluster, namespace: str, images: Images) -> None:
    """Another cluster on the same host comes up, runs the same pod, and goes, and the first one's pod runs on."""
    sleeper = make_pod(namespace, images.runtime, "import time; time.sleep(600)")
    own_cluster.kubectl("create", "--filename=-", input=sleeper)
    wait_for_phase(own_cluster, namespace, "Running")
    pod_uid = ("get", "pod", "probe", f"--namespace={namespace}", "--output=jsonpath={.metadata.uid} {.status.phase}")
    before = own_cluster.kubectl(*pod_uid)

    second = choose.cluster(f"second-{os.getpid()}", owned=True)
    try:
        second.start()
        second.load_image(images.runtime)
        second.kubectl("create", "namespace", namespace)
        wait_until(
            "the second cluster has the service account",
            lambda: bool(api(second.kubeconfig).list("serviceaccounts", namespace)),
            seconds=30,
        )
        assert run_pod(second, namespace, images.runtime, "print('second')") == "second\n"
        assert own_cluster.kubectl(*pod_uid) == before
    finally:
        second.stop()
    assert own_cluster.kubectl(*pod_uid) == before
    with pytest.raises(HarnessError):
        second.kubectl("get", "--raw=/readyz")


@pytest.fixture
def built_node(own_cluster: Cluster) -> None:
    """Restrict a test to the built node, whose leftovers are this host's own."""
    if own_cluster.way != "node":
        pytest.skip("about the built node's own processes; kind's are Docker's")


@pytest.mark.usefixtures("built_node")
def test_nothing_is_left_of_a_session_that_was_killed() -> None:
    """A node's processes end with the session that owns it even by SIGKILL, and the next start removes the rest."""
    name = f"orphan-{os.getpid()}"
    program = f"""
import time
from tests.cluster.harness.node.cluster import NodeCluster
NodeCluster({name!r}).start()
print("up", flush=True)
time.sleep(600)
"""
    with subprocess.Popen([sys.executable, "-c", program], cwd=CHECKOUT, stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout is not None
        assert owner.stdout.readline() == "up\n"
        left = record.find(name)
        assert left is not None
        assert left.first is not None
        assert left.forwarder is not None
        processes = [left.first, left.forwarder, *left.components.values()]
        assert all(process.alive for process in processes)
        owner.send_signal(signal.SIGKILL)
    wait_until("the node's processes end", lambda: not any(process.alive for process in processes), seconds=10)
    assert traces(name) != []
    clean_up()
    assert traces(name) == []


@pytest.mark.usefixtures("built_node")
def test_nothing_is_left_of_a_node_that_was_stopped() -> None:
    """After stop there is no process, mount, cgroup or file of the node, and a second stop does no harm."""
    node = NodeCluster(f"brief-{os.getpid()}")
    node.start()
    known = record.find(node.name)
    assert known is not None
    node.stop()
    node.stop()
    assert not any(process.alive for process in known.components.values())
    assert traces(node.name) == []


def traces(name: str) -> list[str]:
    """Return what there is on this host of a node: command lines, mounts, cgroups and its folder."""
    found = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = file.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except (FileNotFoundError, ProcessLookupError):
            continue
        if f"/clusters/{name}/" in line:
            found.append(line)
    found += [line for line in Path("/proc/mounts").read_text().splitlines() if f"/clusters/{name}" in line]
    for hierarchy in cgroups.hierarchies(Path("/proc/mounts").read_text()):
        found += [str(group) for group in hierarchy.root.glob(f"**/flowkiln-{name}")]
    if (record.clusters_folder() / name).exists():
        found.append(str(record.clusters_folder() / name))
    return found
