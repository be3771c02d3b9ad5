"""The baseline's DaskCluster: a run's in everything but the agent."""

from __future__ import annotations

import ast
from typing import Any

from benchmarks.cluster.bare import PROGRAM, make_bare

from flowkiln.api.names import RUN_LABEL

MADE = make_bare("room", "runtime:1", "map", "10")
SCHEDULER = MADE.dask_cluster["spec"]["scheduler"]["spec"]
WORKER = MADE.dask_cluster["spec"]["worker"]["spec"]


def container(name: str) -> dict[str, Any]:
    """Return a container of the scheduler's pod."""
    found: dict[str, Any] = next(one for one in SCHEDULER["containers"] if one["name"] == name)
    return found


def test_the_client_stands_in_the_agents_place() -> None:
    """Scheduler and client share the pod; the client runs the program with its arguments in the same image."""
    assert [one["name"] for one in SCHEDULER["containers"]] == ["scheduler", "client"]
    client = container("client")
    assert client["image"] == container("scheduler")["image"] == "runtime:1"
    assert client["args"] == ["python", "-c", PROGRAM.read_text(), "map", "10"]
    assert client["securityContext"] == container("scheduler")["securityContext"]


def test_what_is_mounted_is_there() -> None:
    """Each mount has its volume, and neither plan nor token are left."""
    for pod in (SCHEDULER, WORKER):
        volumes = {volume["name"] for volume in pod["volumes"]}
        assert volumes == {"flowkiln-tls", "flowkiln-tmp"}
        for one in pod["containers"]:
            assert {mount["name"] for mount in one["volumeMounts"]} <= volumes
    secret = next(volume for volume in SCHEDULER["volumes"] if volume["name"] == "flowkiln-tls")["secret"]["secretName"]
    assert secret in {manifest["metadata"]["name"] for manifest in MADE.before}


def test_connections_are_as_secure_as_a_runs() -> None:
    """The client demands encryption and has a certificate, and goes to the scheduler in its own pod."""
    variables = {variable["name"]: variable.get("value") for variable in container("client")["env"]}
    assert variables["DASK_DISTRIBUTED__COMM__REQUIRE_ENCRYPTION"] == "true"
    assert variables["DASK_DISTRIBUTED__COMM__TLS__CLIENT__CERT"]
    assert variables["SCHEDULER"] == "tls://127.0.0.1:8786"


def test_the_operator_does_not_know_it() -> None:
    """Nothing carries a run's label or owner, so that operator and garbage collector leave it alone."""
    for manifest in (*MADE.before, MADE.dask_cluster):
        assert RUN_LABEL not in manifest["metadata"].get("labels", {})
        assert "ownerReferences" not in manifest["metadata"]


def test_the_program_needs_nothing_but_dask() -> None:
    """It is sent as text into a container, and is to be what one writes without Flowkiln."""
    imported = {
        name.split(".")[0]
        for node in ast.walk(ast.parse(PROGRAM.read_text()))
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [str(node.module)]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }
    assert imported == {"distributed", "json", "os", "signal", "sys", "time"}
