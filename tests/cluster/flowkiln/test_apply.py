"""The operator's requests on a real API server: what happens when things are there already, taken, or changed."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest
from kubernetes.aio import client, config

from flowkiln.api import API_VERSION
from flowkiln_operator.controller import views
from flowkiln_operator.controller.actions import (
    Actions,
    ApplyStatus,
    CreateChild,
    CreateDaskCluster,
    DeleteDaskCluster,
    DeleteFlowRun,
    RecordEvent,
    RequeueAt,
)
from flowkiln_operator.controller.api import ApiError, KubernetesApi
from flowkiln_operator.controller.apply import apply
from flowkiln_operator.controller.gather import gather, now
from flowkiln_operator.controller.memory import Memory
from flowkiln_operator.controller.snapshot import RejectionKind, Snapshot
from flowkiln_operator.controller.sources import Direct
from flowkiln_operator.resources.dask_cluster import ClusterConfig
from flowkiln_operator.resources.plan import PlanWithSources
from flowkiln_operator.resources.rbac import role, service_account
from flowkiln_operator.resources.run import RunIdentity
from tests.cluster.harness.commands import wait_until
from tests.cluster.harness.interface import Cluster
from tests.operator.resources.test_resources import make_plan

from .flows import make_run
from .rooms import limit
from .runs import FLOW_RUN, Runs, state
from .watching import RUN_LABEL

NAME = "monthly"


@pytest.fixture
async def api(cluster: Cluster) -> AsyncIterator[KubernetesApi]:
    """Connect to the API server, with all rights."""
    configuration = client.Configuration()
    await config.load_kube_config(config_file=str(cluster.kubeconfig), client_configuration=configuration)
    async with KubernetesApi(configuration) as connected:
        yield connected


CLUSTERS = "daskclusters.kubernetes.dask.org"


class Controller:
    """The edges of the controller, in the hand of a test."""

    def __init__(self, api: KubernetesApi, runs: Runs) -> None:
        self.api, self.runs = api, runs
        self.memory = Memory()

    def of_the_run(self, kind: str) -> list[dict[str, Any]]:
        """Return the objects of a kind that belong to the run."""
        return self.runs.list(kind, selector=RUN_LABEL)

    def status(self) -> dict[str, Any]:
        """Return the FlowRun's status."""
        found: dict[str, Any] = self.runs.get(FLOW_RUN, NAME)["status"]
        return found

    async def look(self) -> Snapshot:
        """Gather."""
        snapshot = await gather(Direct(self.api), self.api, self.memory, self.runs.namespace, NAME)
        assert snapshot is not None
        return snapshot

    async def do(self, *actions: Any, snapshot: Snapshot | None = None) -> Any:
        """Apply."""
        wanted: Actions = actions
        return await apply(self.api, self.memory, ClusterConfig("runtime:1"), snapshot or await self.look(), wanted)


@pytest.fixture
def controller(api: KubernetesApi, runs: Runs) -> Controller:
    """Return the controller's edges, for a FlowRun that the installed operator leaves alone: its time is far away."""
    runs.apply(make_run(NAME, "none", startTime="2999-01-01T00:00:00Z"))
    runs.wait_until(NAME, "is scheduled", lambda run: state(run) == "Scheduled")
    return Controller(api, runs)


async def test_what_is_there_already_and_ours_is_fine(controller: Controller) -> None:
    """A creation that was interrupted can be done again."""
    run = (await controller.look()).run.identity
    await controller.do(CreateChild(service_account(run)))
    await controller.do(CreateChild(service_account(run)), CreateChild(role(run)))
    assert len(controller.of_the_run("serviceaccounts")) == 1
    assert controller.memory.rejection(run) is None


async def test_a_name_that_somebody_else_has_stops_the_rest(controller: Controller) -> None:
    """What comes after it is not done; the refusal is remembered for the next decision, which is due at once.

    What stands beside it is created at the same time.
    """
    snapshot = await controller.look()
    run = snapshot.run.identity
    foreign = service_account(RunIdentity(run.namespace, run.name, "another-uid"))
    foreign["metadata"] = {"name": run.service_account, "namespace": run.namespace}
    controller.runs.apply(foreign)
    create = CreateDaskCluster(1, PlanWithSources(make_plan()))
    again = await controller.do(CreateChild(service_account(run)), CreateChild(role(run)), create, snapshot=snapshot)
    assert again == snapshot.now
    assert len(controller.of_the_run("roles")) == 1
    assert controller.of_the_run(CLUSTERS) == []
    rejection = (await controller.look()).rejection
    assert rejection is not None
    assert rejection.kind is RejectionKind.NAME_TAKEN
    assert (
        rejection.message
        == f"There is a ServiceAccount {run.service_account} already that does not belong to this run."
    )


async def test_a_quota_is_remembered_with_the_api_servers_words(controller: Controller) -> None:
    """Its first time stays, however often it is met."""
    limit(controller.runs, "q", "configmaps", 0)
    run = (await controller.look()).run.identity
    config_map = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": run.metadata("c")}
    for _ in range(2):
        await controller.do(CreateChild(config_map))
    rejection = (await controller.look()).rejection
    assert rejection is not None
    assert rejection.kind is RejectionKind.QUOTA
    assert "exceeded quota: q" in rejection.message


async def test_a_refused_cluster_leaves_one_secret_however_often_it_is_tried(controller: Controller) -> None:
    """The Secret that was made for it waits for the next try; when that goes through, the refusal is forgotten."""
    limit(controller.runs, "q", f"count/{CLUSTERS}", 0)
    run = (await controller.look()).run.identity
    create = CreateDaskCluster(1, PlanWithSources(make_plan()))
    for _ in range(3):
        await controller.do(create)
    assert len(controller.of_the_run("secrets")) == 1
    assert controller.memory.rejection(run) is not None
    controller.runs.kubectl("delete", "resourcequota", "q")
    async with asyncio.timeout(60):
        while controller.memory.rejection(run) is not None:  # the API server may remember the quota for a moment
            await controller.do(create)
    assert len(controller.of_the_run("secrets")) == 1
    (made,) = controller.of_the_run(CLUSTERS)
    volumes = {v["name"]: v for v in made["spec"]["worker"]["spec"]["volumes"]}
    (secret,) = controller.of_the_run("secrets")
    assert volumes["flowkiln-tls"]["secret"]["secretName"] == secret["metadata"]["name"]


async def test_a_status_that_was_decided_on_an_older_version_is_refused(controller: Controller) -> None:
    """The agent may have reported the end in between: look again."""
    old = await controller.look()
    report(controller.runs, {"state": "Running", "reason": "Running"})
    with pytest.raises(ApiError) as refused:
        await controller.do(ApplyStatus({"state": "Pending"}), snapshot=old)
    assert refused.value.status == 409
    assert controller.status()["state"] == "Scheduled"


async def test_the_two_writers_do_not_drop_each_others_fields(controller: Controller) -> None:
    """The operator's status leaves the agent's part alone, until it takes it over by force, and then it keeps it."""
    report(
        controller.runs,
        {"state": "Running", "reason": "Running", "progress": "1/2"},
        tasks=[{"name": "a", "state": "Running"}],
    )
    own = (await controller.look()).run.status.to_json()
    await controller.do(ApplyStatus({**own, "startTime": "2026-01-01T00:00:00Z"}))
    status = controller.status()
    assert (status["startTime"], status["flow"]["progress"]) == ("2026-01-01T00:00:00Z", "1/2")
    assert not (await controller.look()).run.owns_report
    taken = {**own, "flow": {"state": "Crashed", "reason": "ClusterLost"}, "tasks": [{"name": "a", "state": "Crashed"}]}
    await controller.do(ApplyStatus(taken))
    status = controller.status()
    assert (status["flow"]["state"], status["tasks"]) == ("Crashed", [{"name": "a", "state": "Crashed"}])
    assert (await controller.look()).run.owns_report


async def test_only_the_very_object_is_deleted(controller: Controller) -> None:
    """One of the same name that came later has another uid, and stays; what is gone is gone."""
    await controller.do(CreateDaskCluster(1, PlanWithSources(make_plan())))
    (made,) = controller.of_the_run(CLUSTERS)
    name, uid = made["metadata"]["name"], made["metadata"]["uid"]
    await controller.do(DeleteDaskCluster(name, "another-uid"))
    (still,) = controller.of_the_run(CLUSTERS)
    assert "deletionTimestamp" not in still["metadata"]
    await controller.do(DeleteDaskCluster(name, uid))
    wait_until("the cluster is gone", lambda: not controller.of_the_run(CLUSTERS), seconds=60)
    await controller.do(DeleteDaskCluster(name, uid))


async def test_a_run_can_be_deleted_and_its_absence_is_seen(controller: Controller) -> None:
    """Gathering what is not there gives nothing."""
    snapshot = await controller.look()
    await controller.do(DeleteFlowRun(), snapshot=snapshot)
    source = Direct(controller.api)
    assert await gather(source, controller.api, controller.memory, controller.runs.namespace, NAME) is None
    await controller.do(DeleteFlowRun(), snapshot=snapshot)


async def test_an_event_is_about_the_run(controller: Controller) -> None:
    """`kubectl describe` shows it."""
    await controller.do(RecordEvent("Warning", "TaskFailed", "no rows"))
    assert "no rows" in controller.runs.kubectl("describe", "flowruns.flowkiln.dev", NAME)


async def test_the_earliest_time_to_look_again_is_returned(controller: Controller) -> None:
    """Several policies may want one."""
    sooner, later = now(), now().replace(year=2999)
    assert await controller.do(RequeueAt(later), RequeueAt(sooner)) == sooner
    assert await controller.do() is None


async def test_a_gathered_run_is_read_as_it_is(controller: Controller) -> None:
    """The snapshot of a run without anything says so."""
    snapshot = await controller.look()
    assert snapshot.run.identity.name == NAME
    assert (snapshot.cluster, snapshot.pods, snapshot.plan, snapshot.flow) == (None, (), None, None)
    assert views.report(controller.status()).is_claimed is False


def report(runs: Runs, flow: Mapping[str, Any], tasks: Any = ()) -> None:
    """Report as an agent does."""
    document = {
        "apiVersion": API_VERSION,
        "kind": "FlowRun",
        "metadata": {"name": NAME},
        "status": {"flow": flow, "tasks": list(tasks)},
    }
    options = ("--server-side", "--subresource=status", "--field-manager=flowkiln-agent", "--filename=-")
    runs.kubectl("apply", *options, input=json.dumps(document))
