"""The baseline: a DaskCluster as the operator writes it, with a plain Dask program in the agent's place."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from flowkiln.api.flow import FlowSpec
from flowkiln.api.plan import Plan, PlanFlow, PlanRun
from flowkiln_operator.resources import dask_cluster, rbac, tls
from flowkiln_operator.resources.plan import PlanWithSources
from flowkiln_operator.resources.run import RunIdentity

PROGRAM = Path(__file__).with_name("bare_client.py")
CONTAINER = "client"
KIND = "daskclusters.kubernetes.dask.org"
OF_THE_AGENT = ("flowkiln-plan", "flowkiln-token")
"""Volumes that a plain Dask program has no use for."""
START_OF_WORKERS = "DASK_DISTRIBUTED__WORKER__MULTIPROCESSING_METHOD"
"""How a run's workers start sooner than Dask's own: no part of what one has without Flowkiln."""
ABOUT_THE_AGENT = ("ports", "startupProbe", "readinessProbe", "livenessProbe")

Manifest = dict[str, Any]


@dataclass(frozen=True)
class Bare:
    """A bare DaskCluster, and what has to be there before it."""

    name: str
    before: tuple[Manifest, ...]
    dask_cluster: Manifest


def make_bare(namespace: str, image: str, *arguments: str) -> Bare:
    """Return a DaskCluster with one worker whose second container runs the program with these arguments.

    Certificates, image, resources, environment and security profile are those of a run, but for how workers start;
    nothing in it is known to the operator, which therefore leaves it alone.
    """
    run = RunIdentity(namespace, "bare", str(uuid.uuid4()))
    name = run.cluster_name(1)
    secret = tls.secret_name(name)
    before = (
        rbac.service_account(run),
        tls.tls_secret(run, secret, tls.issue(name, now=datetime.now(UTC))),
    )
    made = dask_cluster.dask_cluster(
        run, 1, _plan(run), tls_secret=secret, cluster_config=dask_cluster.ClusterConfig(runtime_image=image)
    )
    pod = made["spec"]["scheduler"]["spec"]
    scheduler, agent = pod["containers"]
    pod["containers"] = [scheduler, _client(agent, arguments)]
    pod["volumes"] = [volume for volume in pod["volumes"] if volume["name"] not in OF_THE_AGENT]
    (worker,) = made["spec"]["worker"]["spec"]["containers"]
    worker["env"] = [variable for variable in worker["env"] if variable["name"] != START_OF_WORKERS]
    return Bare(name, tuple(_nobodys(manifest) for manifest in before), _nobodys(made))


def _plan(run: RunIdentity) -> PlanWithSources:
    spec = FlowSpec.model_validate({"tasks": [{"name": "nothing", "function": "nothing:nothing"}]})
    plan = Plan.make(
        run=PlanRun(namespace=run.namespace, name=run.name, uid=run.uid),
        flow=PlanFlow(name=run.name),
        spec=spec,
        parameters={},
        context={},
    )
    return PlanWithSources(plan)


def _client(agent: Manifest, arguments: tuple[str, ...]) -> Manifest:
    address = next(variable["value"] for variable in agent["env"] if variable["name"] == "FLOWKILN_SCHEDULER")
    return {
        **{name: value for name, value in agent.items() if name not in ABOUT_THE_AGENT},
        "name": CONTAINER,
        "args": ["python", "-c", PROGRAM.read_text(), *arguments],
        "env": [
            *(variable for variable in agent["env"] if not variable["name"].startswith("FLOWKILN_")),
            {"name": "SCHEDULER", "value": address},
        ],
        "volumeMounts": [mount for mount in agent["volumeMounts"] if mount["name"] not in OF_THE_AGENT],
    }


def _nobodys(manifest: Manifest) -> Manifest:
    """Take away what ties it to a FlowRun."""
    metadata = manifest["metadata"]
    return {**manifest, "metadata": {"name": metadata["name"], "namespace": metadata["namespace"]}}
