"""A run's pods in the hands of its tenant: what its token, its certificate and its secrets are good for."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import Any

import pytest

from flowkiln.api.status import FlowRunStatus

from .flows import Object, make_run, make_spec
from .installation import Installation
from .rest import APPLY, JSON_PATCH, MERGE, Bearer, Right, allowed, bearer
from .rooms import room
from .runs import Runs, label_of, state

SOURCE = {"steps.py": "import time\n\ndef sleep():\n    time.sleep(600)\n"}
SLEEPING = make_spec({"name": "sleep", "function": "steps:sleep"}, source=SOURCE)
AGENTS_FIELDS = frozenset({"flow", "tasks"})
LATER = "2999-01-01T00:00:00Z"
SUCCEEDED = {
    "type": "Succeeded",
    "status": "True",
    "reason": "Succeeded",
    "message": "",
    "lastTransitionTime": "2020-01-01T00:00:00Z",
}
FORGED: dict[str, Any] = {
    "observedGeneration": 99,
    "state": "Success",
    "startTime": LATER,
    "completionTime": LATER,
    "plan": {"configMap": "other", "sha256": "0" * 64},
    "cluster": {"name": "other", "number": 7},
    "conditions": [SUCCEEDED],
}
"""For each field of the status that is not the agent's: what a tenant would like it to say."""


@dataclass(frozen=True)
class Tenancy:
    """Two runs of one namespace at work, and somebody who has the token of the first one."""

    runs: Runs
    mine: Object
    other: Object
    tenant: Bearer

    @property
    def collection(self) -> str:
        """The path of the namespace's FlowRuns."""
        return f"/apis/flowkiln.dev/v1alpha1/namespaces/{self.runs.namespace}/flowruns"

    def account(self, run: Object) -> str:
        """The name of a run's ServiceAccount."""
        return f"flowrun-{label_of(run)}"

    def guarded(self, name: str) -> Object:
        """Return everything of a FlowRun that is not the agent's, nor the API server's own record."""
        run = self.runs.flow_run(name)
        metadata = {key: run["metadata"].get(key) for key in ("labels", "annotations", "finalizers", "ownerReferences")}
        status = {key: value for key, value in run["status"].items() if key not in AGENTS_FIELDS}
        return {"metadata": metadata, "spec": run["spec"], "status": status}


@pytest.fixture(scope="module")
def tenancy(flowkiln: Installation) -> Iterator[Tenancy]:
    """Start two runs, and take the token of one."""
    with room(flowkiln, make_run("mine", SLEEPING), make_run("other", SLEEPING)) as runs:
        mine, other = (
            runs.wait_until(
                name,
                "is at work and settled",
                lambda run: state(run) == "Running" and run["status"]["flow"].get("counts") == {"Running": 1},
            )
            for name in ("mine", "other")
        )
        tenant = bearer(flowkiln.cluster, runs.namespace, f"flowrun-{label_of(mine)}")
        yield Tenancy(runs, mine, other, tenant)


def own(status: object, **more: object) -> Object:
    """Return the body of a server-side apply to the tenant's own FlowRun."""
    return {
        "apiVersion": "flowkiln.dev/v1alpha1",
        "kind": "FlowRun",
        "metadata": {"name": "mine"},
        "status": status,
        **more,
    }


def test_the_token_is_good_for_what_the_agent_does(tenancy: Tenancy) -> None:
    """It reads and watches its own FlowRun, and writes `status.flow` and `status.tasks` of it."""
    path = f"{tenancy.collection}/mine"
    assert tenancy.tenant.send("GET", path).document["metadata"]["uid"] == tenancy.mine["metadata"]["uid"]
    watch = f"{tenancy.collection}?watch=true&fieldSelector=metadata.name%3Dmine&timeoutSeconds=60"
    assert tenancy.tenant.send("GET", watch).document["object"]["metadata"]["name"] == "mine"
    patch = {"status": {"flow": {"message": "said by the tenant"}}}
    reply = tenancy.tenant.send("PATCH", f"{path}/status", patch, content_type=MERGE)
    assert reply.code == 200, reply.message


def test_every_field_of_the_status_is_somebodys() -> None:
    """A new field of the status has to be added to the table above, and to the admission policy."""
    names = {field.alias or name for name, field in FlowRunStatus.model_fields.items()}
    assert names == set(FORGED) | AGENTS_FIELDS


@pytest.mark.parametrize(("field", "way"), [*product(FORGED, ["merge", "apply", "apply by force", "remove"])])
def test_the_token_cannot_touch_what_is_the_operators(tenancy: Tenancy, field: str, way: str) -> None:
    """Neither by patch nor by server-side apply, forced or not: refused, in words, and nothing changed."""
    before = tenancy.guarded("mine")
    path = f"{tenancy.collection}/mine/status"
    forged = {field: FORGED[field]}
    match way:
        case "merge":
            reply = tenancy.tenant.send("PATCH", path, {"status": forged}, content_type=MERGE)
        case "apply":
            reply = tenancy.tenant.send("PATCH", f"{path}?fieldManager=tenant", own(forged), content_type=APPLY)
        case "apply by force":
            query = "?fieldManager=flowkiln-operator&force=true"
            reply = tenancy.tenant.send("PATCH", path + query, own(forged), content_type=APPLY)
        case _:
            reply = tenancy.tenant.send("PATCH", path, {"status": {field: None}}, content_type=MERGE)
    if way == "remove" and field not in before["status"]:
        assert reply.code == 200
    else:
        assert reply.code in (403, 409, 422), reply.document
        # An apply in the operator's name drops all that it does not name, so another field may be met first.
        named = "status." if way == "apply by force" else f"status.{field} "
        assert (named in reply.message and "belongs to the operator" in reply.message) or reply.code == 409
    assert tenancy.guarded("mine") == before


def test_what_is_not_the_status_cannot_be_written_through_the_status(tenancy: Tenancy) -> None:
    """Spec, labels, annotations, finalizers and owners stay as they are, whatever a patch of the status says."""
    before = tenancy.guarded("mine")
    metadata = {
        "labels": {"flowkiln.dev/run": "other"},
        "annotations": {"a": "b"},
        "finalizers": ["example.org/stay"],
        "ownerReferences": [{"apiVersion": "v1", "kind": "Pod", "name": "a", "uid": "b"}],
    }
    path = f"{tenancy.collection}/mine/status"
    for body in ({"metadata": metadata}, {"spec": {"terminate": "Immediate", "ttlAfterFinished": "0s"}}):
        tenancy.tenant.send("PATCH", path, body, content_type=MERGE)
        tenancy.tenant.send("PATCH", f"{path}?fieldManager=t&force=true", own({}, **body), content_type=APPLY)
    assert tenancy.guarded("mine") == before


def test_a_status_that_makes_no_sense_is_refused(tenancy: Tenancy) -> None:
    """The agent's own fields are type-checked and bounded by the schema."""
    path = f"{tenancy.collection}/mine/status"
    for flow in ({"state": "Nonsense"}, {"attempt": -1}, {"message": "x" * 2000}, {"holder": {"podUID": 7}}):
        reply = tenancy.tenant.send("PATCH", path, {"status": {"flow": flow}}, content_type=MERGE)
        assert reply.code == 422, (flow, reply.document)
    too_many = {"status": {"tasks": [{"name": "a", "state": "Running"}] * 10_001}}
    assert tenancy.tenant.send("PATCH", path, too_many, content_type=MERGE).code == 422


def test_requests_for_anything_else_are_refused(tenancy: Tenancy) -> None:
    """Other runs, other verbs, other objects: 403, each."""
    collection, namespace = tenancy.collection, tenancy.runs.namespace
    core = f"/api/v1/namespaces/{namespace}"
    account = tenancy.account(tenancy.mine)
    status = {"status": {"flow": {"message": "by another run"}}}
    run = make_run("more", SLEEPING)
    requests: list[tuple[str, str, object, str]] = [
        ("GET", f"{collection}/other", None, MERGE),
        ("GET", collection, None, MERGE),
        ("GET", f"{collection}?watch=true&timeoutSeconds=1", None, MERGE),
        ("GET", "/apis/flowkiln.dev/v1alpha1/flowruns", None, MERGE),
        ("PATCH", f"{collection}/other/status", status, MERGE),
        ("PATCH", f"{collection}/mine", {"spec": {"terminate": "Immediate"}}, MERGE),
        ("PATCH", f"{collection}/mine", [{"op": "add", "path": "/metadata/finalizers", "value": ["a/b"]}], JSON_PATCH),
        ("PUT", f"{collection}/mine/status", tenancy.mine, "application/json"),
        ("PUT", f"{collection}/mine", tenancy.mine, "application/json"),
        ("DELETE", f"{collection}/mine", None, MERGE),
        ("DELETE", collection, None, MERGE),
        ("POST", collection, run, "application/json"),
        ("POST", f"/apis/flowkiln.dev/v1alpha1/namespaces/{namespace}/flows", {}, "application/json"),
        ("GET", f"{core}/secrets", None, MERGE),
        ("GET", f"{core}/configmaps/{label_of(tenancy.mine)}-plan", None, MERGE),
        ("GET", f"{core}/pods", None, MERGE),
        ("POST", f"{core}/pods", {}, "application/json"),
        ("POST", f"{core}/serviceaccounts/{account}/token", {}, "application/json"),
        ("GET", f"/apis/kubernetes.dask.org/v1/namespaces/{namespace}/daskclusters", None, MERGE),
        ("GET", "/api/v1/namespaces", None, MERGE),
        ("GET", "/api/v1/nodes", None, MERGE),
    ]
    before = {name: tenancy.guarded(name) for name in ("mine", "other")}
    answers = {
        (method, path): tenancy.tenant.send(method, path, body, content_type=content_type).code
        for method, path, body, content_type in requests
    }
    assert {request for request, code in answers.items() if code != 403} == set()
    assert {name: tenancy.guarded(name) for name in ("mine", "other")} == before


def test_the_account_of_a_run_has_no_other_rights(tenancy: Tenancy) -> None:
    """Every verb on every resource that the API server knows, except for the three that the agent needs."""
    runs = tenancy.runs
    listed = runs.kubectl("api-resources", "--output=wide", "--no-headers")
    known = [line.split() for line in listed.splitlines()]
    names = sorted({f"{_group(columns)}/{columns[0]}" for columns in known})
    verbs = ("get", "list", "watch", "create", "update", "patch", "delete", "deletecollection")
    resources = [*names, "flowkiln.dev/flowruns/status", "/pods/exec", "/pods/log", "/serviceaccounts/token"]
    user = f"system:serviceaccount:{runs.namespace}:{tenancy.account(tenancy.mine)}"
    rights = [
        Right(verb, resource, runs.namespace, name)
        for verb, resource, name in product(verbs, resources, ["mine", "other"])
        # Whoever is authenticated may ask who they are and what they may do.
        if not resource.startswith(("authorization.k8s.io/self", "authentication.k8s.io/self"))
    ]
    having = {right for right, may in allowed(runs.installation.cluster, user, rights).items() if may}
    assert having == {
        Right("get", "flowkiln.dev/flowruns", runs.namespace, "mine"),
        Right("watch", "flowkiln.dev/flowruns", runs.namespace, "mine"),
        Right("patch", "flowkiln.dev/flowruns/status", runs.namespace, "mine"),
    }


def _group(columns: list[str]) -> str:
    """Return the group in a line of `kubectl api-resources`, which may lack the short names."""
    version = next(column for column in columns[1:] if column == "v1" or "/" in column)
    return version.rpartition("/")[0]


def test_the_token_is_mounted_in_the_agents_container_alone(tenancy: Tenancy) -> None:
    """No other container has a way to the API server: neither the mount nor the default one."""
    found = []
    for component in ("scheduler", "worker"):
        (pod,) = tenancy.runs.pods(tenancy.mine, component)
        assert pod["spec"]["automountServiceAccountToken"] is False
        tokens = {
            volume["name"]
            for volume in pod["spec"]["volumes"]
            if any("serviceAccountToken" in source for source in volume.get("projected", {}).get("sources", ()))
        }
        for container in pod["spec"]["containers"]:
            if tokens & {mount["name"] for mount in container["volumeMounts"]}:
                found.append(container["name"])
    assert found == ["agent"]


CONNECT = """
import asyncio, json, ssl, sys
from distributed.core import rpc

case = json.load(sys.stdin)
trust = ssl.create_default_context(cafile="/etc/flowkiln/tls/ca.crt")
trust.check_hostname = False
if case["trusting"]:
    trust.verify_mode = ssl.CERT_NONE
if case["certificate"]:
    open("/tmp/cert.pem", "w").write(case["certificate"])
    open("/tmp/key.pem", "w").write(case["key"])
    trust.load_cert_chain("/tmp/cert.pem", "/tmp/key.pem")
arguments = {"ssl_context": trust, "require_encryption": True} if case["address"].startswith("tls:") else {}

async def main():
    link = rpc(case["address"], connection_args=arguments, timeout=case["seconds"], deserializers=["msgpack"])
    try:
        answer = await asyncio.wait_for(link.identity(n_workers=0), case["seconds"] + 2)
        print("connected to", answer["type"])
    except Exception as error:
        print("refused:", type(error).__name__)
    finally:
        await link.close_rpc()

asyncio.run(main())
"""


def test_only_a_certificate_of_the_run_itself_opens_its_scheduler(tenancy: Tenancy) -> None:
    """From inside the run's own pod, where no network policy helps: without a certificate, with that of another run in
    the same namespace, or without encryption, there is no connection; with the run's own there is.
    """
    runs = tenancy.runs

    def certificate(run: Object) -> dict[str, str]:
        (pod,) = runs.pods(run, "worker")
        files = {"certificate": "tls.crt", "key": "tls.key"}
        show = ("exec", pod["metadata"]["name"], "--", "cat")
        return {key: runs.kubectl(*show, f"/etc/flowkiln/tls/{file}") for key, file in files.items()}

    (pod,) = runs.pods(tenancy.mine, "worker")
    service = f"{tenancy.mine['status']['cluster']['name']}-scheduler:8786"
    nothing: dict[str, object] = {"certificate": "", "key": "", "seconds": 4}  # Dask tries until they are over
    cases: dict[str, dict[str, object]] = {
        "its own": {"address": f"tls://{service}", "trusting": False, "seconds": 60, **certificate(tenancy.mine)},
        "none": {"address": f"tls://{service}", "trusting": True, **nothing},
        "another run's": {"address": f"tls://{service}", "trusting": True, **nothing, **certificate(tenancy.other)},
        "no encryption": {"address": f"tcp://{service}", "trusting": True, **nothing},
    }
    assert cases["its own"]["certificate"] != cases["another run's"]["certificate"]
    connect = ("exec", "--stdin", pod["metadata"]["name"], "--", "python", "-c", CONNECT)
    outcomes = {name: runs.kubectl(*connect, input=json.dumps(case)).strip() for name, case in cases.items()}
    assert outcomes.pop("its own") == "connected to Scheduler"
    assert [outcome for outcome in outcomes.values() if not outcome.startswith("refused:")] == []


def test_pods_run_in_the_restricted_profile(tenancy: Tenancy) -> None:
    """The namespace enforces it, and the root of every container is read-only."""
    namespace = json.loads(tenancy.runs.kubectl("get", "namespace", tenancy.runs.namespace, "--output=json"))
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    for component in ("scheduler", "worker"):
        (pod,) = tenancy.runs.pods(tenancy.mine, component)
        for container in pod["spec"]["containers"]:
            assert container["securityContext"]["readOnlyRootFilesystem"] is True


def test_the_token_is_good_for_nothing_when_the_run_has_ended(tenancy: Tenancy) -> None:
    """A late report of the agent, or of whoever has its token, cannot change how a run ended."""
    runs = tenancy.runs
    runs.patch("mine", {"terminate": "Immediate"})
    ended = runs.finish("mine")
    path = f"{tenancy.collection}/mine/status"
    late: list[Object] = [{"flow": {"state": "Success"}}, {"tasks": []}, {"state": "Success"}]
    for body in late:
        reply = tenancy.tenant.send("PATCH", path, {"status": body}, content_type=MERGE)
        # The ServiceAccount is deleted with the run's cluster. Until then the admission policy refuses.
        assert reply.code in (401, 403, 422)
        assert "the run has ended" in reply.message or reply.code in (401, 403)
    assert runs.flow_run("mine")["status"]["flow"] == ended["status"]["flow"]
    assert runs.flow_run("mine")["status"]["tasks"] == ended["status"]["tasks"]
