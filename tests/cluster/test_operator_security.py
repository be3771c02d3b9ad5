"""What the installed parts may do, and what keeps the runs' own identities in their place."""

from __future__ import annotations

import json
from typing import Any

import pytest

from .harness.commands import CommandError
from .harness.interface import Cluster, Images
from .installation import SYSTEM, Runs, flow_run, installed, small_flow

__all__ = ["installed"]

OPERATOR = f"system:serviceaccount:{SYSTEM}:flowkiln-operator"
DASK = f"system:serviceaccount:{SYSTEM}:dask-kubernetes"


@pytest.fixture
def runs(cluster: Cluster, installed: Images, namespace: str) -> Runs:
    """Return a fresh namespace."""
    return Runs(cluster, namespace)


def grant(runs: Runs, account: str, *rules: dict[str, Any]) -> str:
    """Give a ServiceAccount rights in the namespace, and return its user name."""
    metadata = {"name": account}
    runs.apply(
        {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": metadata, "rules": list(rules)},
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "RoleBinding",
            "metadata": metadata,
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": account},
            "subjects": [{"kind": "ServiceAccount", "name": account, "namespace": runs.namespace}],
        },
    )
    return f"system:serviceaccount:{runs.namespace}:{account}"


def rule(*verbs: str, resources: tuple[str, ...]) -> dict[str, Any]:
    """Return a rule about our own resources."""
    return {"apiGroups": ["flowkiln.dev"], "resources": list(resources), "verbs": list(verbs)}


def patch_status(runs: Runs, name: str, user: str, status: dict[str, Any]) -> None:
    """Patch a status as somebody."""
    runs.kubectl(
        *("patch", "flowruns.flowkiln.dev", name, "--subresource=status", "--type=merge", f"--as={user}"),
        f"--patch={json.dumps({'status': status})}",
    )


NOT_THE_AGENTS: dict[str, Any] = {
    "state": "Running",
    "observedGeneration": 77,
    "startTime": "2026-01-01T00:00:00Z",
    "completionTime": "2026-01-01T00:00:00Z",
    "plan": {"configMap": "mine", "sha256": "0"},
    "cluster": {"name": "mine", "number": 1},
    "conditions": [],
}
STATUS_RIGHTS = rule("get", "patch", resources=("flowruns", "flowruns/status"))
REPORT = {"flow": {"state": "Running", "reason": "Running"}, "tasks": [{"name": "a", "state": "Running"}]}


def test_a_runs_service_account_may_write_the_agents_fields_only(runs: Runs) -> None:
    """Its code is a tenant's: it can report nonsense about its flow, but not about the run."""
    runs.create("later", flowSpec=small_flow("quick"), startTime="2999-01-01T00:00:00Z")
    runs.wait_for("later", "is scheduled", lambda status: status.get("state") == "Scheduled", seconds=20)
    agent = grant(runs, "flowrun-later", STATUS_RIGHTS)
    patch_status(runs, "later", agent, REPORT)
    for field, value in NOT_THE_AGENTS.items():
        with pytest.raises(CommandError, match=f"status.{field} belongs to the operator"):
            patch_status(runs, "later", agent, {field: value})
    other = grant(runs, "administrator", STATUS_RIGHTS)
    patch_status(runs, "later", other, {"observedGeneration": 77})


def test_an_ended_run_is_out_of_its_agents_reach(runs: Runs) -> None:
    """A late report cannot overwrite the end."""
    runs.create("ended", flowSpec=small_flow("quick"), terminate="Immediate")
    runs.wait_for_state("ended", "Cancelled")
    agent = grant(runs, "flowrun-ended", STATUS_RIGHTS)
    with pytest.raises(CommandError, match="the run has ended"):
        patch_status(runs, "ended", agent, REPORT)


def test_a_flow_of_ones_own_needs_the_right_to_create_flows(runs: Runs) -> None:
    """Whoever may only start runs may only start what others have released."""
    may_run = grant(runs, "runner", rule("create", resources=("flowruns",)))
    may_both = grant(runs, "author", rule("create", resources=("flowruns", "flows")))
    own = json.dumps(flow_run("own", flowSpec=small_flow("quick")))
    referring = json.dumps(flow_run("referring", flowRef={"name": "released"}))
    with pytest.raises(CommandError, match="needs the right to create flows"):
        runs.kubectl("create", "--filename=-", f"--as={may_run}", "--dry-run=server", input=own)
    runs.kubectl("create", "--filename=-", f"--as={may_run}", "--dry-run=server", input=referring)
    runs.kubectl("create", "--filename=-", f"--as={may_both}", "--dry-run=server", input=own)


@pytest.mark.parametrize(
    ("user", "request_", "allowed"),
    [
        (OPERATOR, "create secrets", True),
        (OPERATOR, "get secrets", False),
        (OPERATOR, "list secrets", False),
        (OPERATOR, "get pods/log", False),
        (OPERATOR, "create pods/exec", False),
        (OPERATOR, "create pods", False),
        (OPERATOR, "update flowruns.flowkiln.dev", False),
        (OPERATOR, "patch flowruns.flowkiln.dev --subresource=status", True),
        (OPERATOR, "create clusterroles", False),
        (DASK, "create deployments.apps", True),
        (DASK, "delete deployments.apps", False),
        (DASK, "create pods", False),
        (DASK, "get secrets", False),
        (DASK, "get flowruns.flowkiln.dev", False),
    ],
)
def test_what_the_controllers_may_do(
    cluster: Cluster, installed: Images, user: str, request_: str, allowed: bool
) -> None:
    """As the API server answers, not as a file says."""
    arguments = ("auth", "can-i", *request_.split(), f"--as={user}", "--namespace=default")
    assert (cluster.kubectl(*arguments, check=False).strip() == "yes") is allowed


PROBE = """
import os, pathlib, ssl, socket, sys
print(os.path.exists("/var/run/secrets/flowkiln/token"), os.path.exists("/var/run/secrets/kubernetes.io"))
try:
    pathlib.Path("/opt/probe").write_text("x")
    print("writable")
except OSError:
    print("read-only")
"""

HANDSHAKE = """
import socket, ssl, sys
context = ssl.create_default_context(cafile="/etc/flowkiln/tls/ca.crt")
context.load_cert_chain("/etc/flowkiln/tls/tls.crt", "/etc/flowkiln/tls/tls.key")
context.check_hostname = False
try:
    with socket.create_connection((sys.argv[1], 8786), timeout=5) as plain, context.wrap_socket(plain) as encrypted:
        encrypted.settimeout(5)
        print("spoke" if encrypted.recv(1) else "cut off")
except (ssl.SSLError, ConnectionError) as error:
    print("refused", type(error).__name__)
"""


def execute(runs: Runs, run: str, container: str, *command: str) -> str:
    """Run a program in a container of a run's pod."""
    component = "worker" if container == "worker" else "scheduler"
    base = runs.status(run)["cluster"]["name"].rsplit("-", 1)[0]
    labels = f"flowkiln.dev/run={base},dask.org/component={component}"
    (pod,) = runs.items("pods", labels)
    return runs.kubectl("exec", pod["metadata"]["name"], f"--container={container}", "--", *command)


def test_only_the_agent_has_a_token_and_no_certificate_opens_another_runs_cluster(runs: Runs) -> None:
    """A task's code has no rights in Kubernetes, a root file system that it cannot change, and its own cluster only."""
    for name in ("one", "other"):
        runs.create(name, flowSpec=small_flow("slow"))
    for name in ("one", "other"):
        runs.wait_for_state(name, "Running")
    assert execute(runs, "one", "worker", "python", "-c", PROBE).split() == ["False", "False", "read-only"]
    assert execute(runs, "one", "agent", "python", "-c", PROBE).split() == ["True", "False", "read-only"]
    for run, answer in (("one", "spoke"), ("other", "refused")):
        host = f"{runs.status(run)['cluster']['name']}-scheduler"
        assert execute(runs, "one", "worker", "python", "-c", HANDSHAKE, host).split()[0] == answer


SECRET_SOURCE = """
def check(password):
    assert password == "open sesame", "another password"
    return len(password)
"""


def test_a_secret_input_is_seen_by_the_workers_and_by_nobody_else(runs: Runs) -> None:
    """It is in a file of the worker that has its key's name, and in neither the plan nor the status."""
    runs.apply(
        {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "door"}, "stringData": {"word": "open sesame"}}
    )
    secret = {"name": "password", "valueFrom": {"secretKeyRef": {"name": "door", "key": "word"}}}
    spec = {
        "source": {"files": [{"path": "door.py", "content": SECRET_SOURCE}]},
        "tasks": [{"name": "check", "function": "door:check", "inputs": [secret]}],
    }
    runs.create("secretive", flowSpec=spec)
    status = runs.wait_for_state("secretive", "Success")
    plans = json.dumps([item.get("binaryData") for item in runs.items("configmaps")])
    assert "sesame" not in json.dumps(status) + plans
