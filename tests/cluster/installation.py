"""Flowkiln on the test cluster, installed from its manifests, and FlowRuns to try it with."""

from __future__ import annotations

import json
import runpy
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from .harness.commands import CommandError, wait_until
from .harness.interface import Cluster, Images
from .harness.places import CHECKOUT

SYSTEM = "flowkiln-system"
DEPLOYMENTS = ("flowkiln-operator", "dask-kubernetes")
TERMINAL = frozenset({"Success", "Failed", "Cancelled", "Crashed"})

Document = dict[str, Any]


@pytest.fixture(scope="session")
def installed(cluster: Cluster, images: Images) -> Images:
    """Install operator and dask-kubernetes with the images under test; all tests of the session share them."""
    install(cluster, images)
    return images


def install(cluster: Cluster, images: Images, settings: Mapping[str, str] | None = None) -> None:
    """Apply the manifests as a user would, and wait until both controllers are ready and the policies in force."""
    render: Callable[..., str] = runpy.run_path(str(CHECKOUT / "manifests" / "render.py"))["render"]
    manifests = render(images.operator, images.runtime, settings)
    cluster.kubectl("apply", "--server-side", "--force-conflicts", "--filename=-", input=manifests)
    for name in DEPLOYMENTS:
        cluster.kubectl("rollout", "status", f"deployment/{name}", f"--namespace={SYSTEM}", "--timeout=120s")
    wait_until("the admission policies are in force", lambda: _refuses_inline_flow(cluster), seconds=60)


def _refuses_inline_flow(cluster: Cluster) -> bool:
    """Try what the policy forbids and RBAC does not: bring a flow along, as somebody who may only create runs."""
    may_create_runs = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "Role",
        "metadata": {"name": "policy-probe", "namespace": "default"},
        "rules": [{"apiGroups": ["flowkiln.dev"], "resources": ["flowruns"], "verbs": ["create"]}],
    }
    binding = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "RoleBinding",
        "metadata": {"name": "policy-probe", "namespace": "default"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "policy-probe"},
        "subjects": [{"kind": "ServiceAccount", "name": "policy-probe", "namespace": "default"}],
    }
    cluster.kubectl(
        "apply",
        "--filename=-",
        input=json.dumps({"apiVersion": "v1", "kind": "List", "items": [may_create_runs, binding]}),
    )
    run = flow_run("policy-probe", flowSpec={"tasks": [{"name": "a", "function": "m:f"}]})
    nobody = "--as=system:serviceaccount:default:policy-probe"
    try:
        cluster.kubectl(
            "create", "--dry-run=server", "--namespace=default", nobody, "--filename=-", input=json.dumps(run)
        )
    except CommandError as error:
        return "needs the right to create flows" in error.output
    return False


@dataclass(frozen=True)
class Runs:
    """FlowRuns in one namespace."""

    cluster: Cluster
    namespace: str

    def kubectl(self, *arguments: str, input: str | None = None) -> str:
        """Run kubectl in the namespace."""
        return self.cluster.kubectl(f"--namespace={self.namespace}", *arguments, input=input)

    def apply(self, *documents: Mapping[str, Any]) -> None:
        """Apply objects to the namespace."""
        self.kubectl(
            "apply", "--filename=-", input=json.dumps({"apiVersion": "v1", "kind": "List", "items": documents})
        )

    def create(self, name: str, **spec: Any) -> None:
        """Create a FlowRun."""
        self.apply(flow_run(name, **spec))

    def get(self, name: str) -> Document:
        """Return the FlowRun."""
        document: Document = json.loads(self.kubectl("get", "flowruns.flowkiln.dev", name, "--output=json"))
        return document

    def status(self, name: str) -> Document:
        """Return its status."""
        status: Document = self.get(name).get("status", {})
        return status

    def items(self, kind: str, labels: str = "flowkiln.dev/run") -> list[Document]:
        """Return the objects of this kind that belong to runs."""
        found: list[Document] = json.loads(self.kubectl("get", kind, f"--selector={labels}", "--output=json"))["items"]
        return found

    def patch(self, name: str, **spec: Any) -> None:
        """Patch the FlowRun's spec."""
        self.kubectl("patch", "flowruns.flowkiln.dev", name, "--type=merge", f"--patch={json.dumps({'spec': spec})}")

    def wait_for(self, name: str, what: str, holds: Callable[[Document], bool], *, seconds: float = 60) -> Document:
        """Wait until something is true of the status, and return that."""
        seen: list[Document] = []

        def look() -> bool:
            seen.append(self.status(name))
            return holds(seen[-1])

        try:
            wait_until(f"{name} {what}", look, seconds=seconds, every=0.3)
        except Exception as error:
            error.add_note(json.dumps(seen[-1], indent=1))
            raise
        return seen[-1]

    def wait_for_state(self, name: str, *states: str, seconds: float = 60) -> Document:
        """Wait until the run is in one of these states; fail at once when it has ended in another one."""

        def reached(status: Document) -> bool:
            state = status.get("state")
            if state in TERMINAL and state not in states:
                raise AssertionError(f"{name} has ended as {state}: {json.dumps(status, indent=1)}")
            return state in states

        return self.wait_for(name, f"is {' or '.join(states)}", reached, seconds=seconds)

    def wait_until_empty(self, kind: str, *, seconds: float = 60) -> None:
        """Wait until no object of this kind belongs to a run."""
        wait_until(f"no {kind} is left", lambda: not self.items(kind), seconds=seconds)


def flow_run(name: str, **spec: Any) -> Document:
    """Return a FlowRun's manifest."""
    return {"apiVersion": "flowkiln.dev/v1alpha1", "kind": "FlowRun", "metadata": {"name": name}, "spec": spec}


def flow(name: str, **spec: Any) -> Document:
    """Return a Flow's manifest."""
    return {"apiVersion": "flowkiln.dev/v1alpha1", "kind": "Flow", "metadata": {"name": name}, "spec": spec}


def condition(status: Mapping[str, Any], type: str) -> Document:
    """Return one condition of a status."""
    found: Document = next(condition for condition in status["conditions"] if condition["type"] == type)
    return found


SOURCE = """\
import time

def quick(who="world"):
    return f"hello {who}"

def slow(seconds=60):
    for _ in range(int(seconds * 10)):
        time.sleep(0.1)
    return seconds

def wrong():
    raise ValueError("no rows")
"""


def small_flow(*functions: str, **spec: Any) -> Document:
    """Return a Flow's spec whose tasks call these functions of `SOURCE`, one after the other."""
    tasks: list[Document] = []
    for function in functions:
        after = {"after": [tasks[-1]["name"]]} if tasks else {}
        tasks.append({"name": f"{function}-{len(tasks) + 1}", "function": f"steps:{function}", **after})
    return {"source": {"files": [{"path": "steps.py", "content": SOURCE}]}, "tasks": tasks, **spec}
