"""A secret input: the task has it, and nobody who looks at the run ever sees it."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import secrets

from .flows import Object, make_run, make_spec
from .installation import DASK_KUBERNETES, OPERATOR, SYSTEM_NAMESPACE, Installation
from .rooms import room
from .runs import Runs, state, task_status

SOURCE = {
    "steps.py": """
        import hashlib

        def rows():
            return [1, 2]

        def use(password, digest):
            if hashlib.sha256(password.encode()).hexdigest() != digest:
                raise ValueError("this is another password")
            print("the password is right", flush=True)
            return len(password)

        def fail(row, password):
            raise ValueError("cannot log in")
    """
}


def secretive(digest: str) -> Object:
    """Return the spec of a flow that uses a secret, in a task that succeeds and in mapped ones that fail and retry."""
    password = {"name": "password", "valueFrom": {"secretKeyRef": {"name": "login", "key": "password"}}}
    return make_spec(
        {"name": "rows", "function": "steps:rows"},
        {"name": "use", "function": "steps:use", "inputs": [password, {"name": "digest", "value": digest}]},
        {
            "name": "fail",
            "function": "steps:fail",
            "inputs": [{"name": "row", "task": "rows", "map": True}, password],
            "retries": {"max": 1},
        },
        source=SOURCE,
        cluster={"retainAfterFailure": "10m"},
    )


def everything_said(runs: Runs, installation: Installation) -> dict[str, str]:
    """Return all that can be read of a run: objects of every kind, plans unpacked, and the logs of all containers."""
    kinds = runs.kubectl("api-resources", "--namespaced", "--verbs=list", "--output=name").split()
    items = json.loads(runs.kubectl("get", ",".join(kinds), "--output=json"))["items"]
    said = {
        f"{item['kind']}/{item['metadata']['name']}": json.dumps(item)
        for item in items
        if (item["kind"], item["metadata"]["name"]) != ("Secret", "login")
    }
    for item in items:
        for key, value in item.get("binaryData", {}).items() if item["kind"] == "ConfigMap" else ():
            said[f"plan {key}"] = gzip.decompress(base64.b64decode(value)).decode()
    for pod in runs.list("pods"):
        for container in pod["spec"]["containers"]:
            arguments = ("logs", pod["metadata"]["name"], f"--container={container['name']}")
            said[f"log of {container['name']}"] = runs.kubectl(*arguments)
    for deployment in (OPERATOR, DASK_KUBERNETES):
        said[f"log of {deployment}"] = installation.cluster.kubectl(
            "logs", f"deployment/{deployment}", f"--namespace={SYSTEM_NAMESPACE}"
        )
    return said


def test_a_secret_occurs_nowhere_but_in_its_secret(flowkiln: Installation) -> None:
    """Not in status, plan, Events, other objects or logs, plain or encoded, whether its task succeeds or fails."""
    password = f"s3cret-{secrets.token_hex(12)}"
    login = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "login"}, "stringData": {"password": password}}
    digest = hashlib.sha256(password.encode()).hexdigest()
    with room(flowkiln, login, make_run("secretive", secretive(digest))) as runs:
        run = runs.finish("secretive")
        assert state(run) == "Failed"
        assert task_status(run, "use")["state"] == "Success"
        assert "cannot log in" in task_status(run, "fail")["message"]
        said = everything_said(runs, flowkiln)
        assert "the password is right" in said["log of worker"]
        assert digest in said["plan plan.json.gz"]
        assert {"log of agent", "log of scheduler", "FlowRun/secretive"} < said.keys()
        forms = {password, base64.b64encode(password.encode()).decode(), password.encode().hex()}
        assert [place for place, text in said.items() if any(form in text for form in forms)] == []
