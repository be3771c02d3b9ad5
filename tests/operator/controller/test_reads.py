"""How little is read: a whole life of a run, a restart beside many finished ones, and what is remembered of those."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from flowkiln.api.names import RUN_LABEL, RUN_NAME_ANNOTATION
from flowkiln_operator.controller import work_queue
from flowkiln_operator.resources.run import RunIdentity

from .api_server import ApiServer, Request, running_api_server
from .operating import Operator, operating, until

HOLDER = "pod-uid"
READY = [{"type": "Ready", "status": "True", "lastTransitionTime": "2026-01-01T12:00:10Z"}]
FLOW = {"tasks": [{"name": "greet", "function": "hello:greet"}]}


@pytest.fixture
async def server(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[ApiServer]:
    """Return a server with a Flow; pauses are short."""
    monkeypatch.setattr(work_queue, "PAUSE", 0.02)
    async with running_api_server() as running:
        place = {"namespace": "team", "name": "hello", "generation": 1}
        running.put("flows", {"kind": "Flow", "metadata": place, "spec": FLOW})
        yield running


def make_run(server: ApiServer, name: str, **spec: Any) -> RunIdentity:
    """Create a FlowRun."""
    document = {
        "kind": "FlowRun",
        "metadata": {"namespace": "team", "name": name},
        "spec": {"flowRef": {"name": "hello"}, **spec},
    }
    made = server.put("flowruns", document)
    return RunIdentity("team", name, made["metadata"]["uid"])


def status(server: ApiServer, run: RunIdentity) -> dict[str, Any]:
    """Return the status of a run as it is now."""
    found: dict[str, Any] = server.objects["flowruns", "team", run.name].get("status") or {}
    return found


def make_pods(server: ApiServer, run: RunIdentity) -> None:
    """Have the pods of a run's cluster, ready."""
    for component, uid in (("scheduler", HOLDER), ("worker", "worker-uid")):
        labels = {RUN_LABEL: run.base, "dask.org/component": component}
        metadata = {"namespace": "team", "name": f"{run.base}-{component}", "uid": uid, "labels": labels}
        metadata["annotations"] = {RUN_NAME_ANNOTATION: run.name}
        server.put("pods", {"metadata": metadata, "status": {"phase": "Running", "conditions": READY}})


def report(server: ApiServer, run: RunIdentity, state: str, reason: str) -> None:
    """Report as the run's agent does."""
    flow = {"state": state, "reason": reason, "attempt": 1, "holder": {"podUID": HOLDER, "schedulerId": "s"}}
    document = server.objects["flowruns", "team", run.name]
    server.edit("flowruns", "team", run.name, status={**document["status"], "flow": flow, "tasks": []})


def is_made(server: ApiServer, run: RunIdentity) -> bool:
    """Tell whether a run has its DaskCluster."""
    return ("daskclusters", "team", run.cluster_name(1)) in server.objects


async def live(server: ApiServer, operator: Operator, run: RunIdentity, *, end: str = "Success") -> None:
    """Have a run go through a whole life, its cluster taken away at the end."""
    await until(lambda: is_made(server, run))
    make_pods(server, run)
    await until(lambda: len(operator.cache.pods_of(run)) == 2)
    report(server, run, "Running", "Running")
    await until(lambda: status(server, run)["state"] == "Running")
    await until(lambda: operator.queue.is_idle)
    report(server, run, end, "Succeeded" if end == "Success" else "TaskFailed")
    await until(lambda: status(server, run)["state"] == end and not is_made(server, run))
    for component in ("scheduler", "worker"):
        server.remove("pods", "team", f"{run.base}-{component}")
    await until(lambda: operator.queue.is_idle)
    assert operator.errors == []


async def test_a_run_costs_one_read_in_its_whole_life(server: ApiServer) -> None:
    """That of its Flow. All else comes from the watches and from the answers to the operator's own writes."""
    async with operating(server) as operator:
        server.requests.clear()
        await live(server, operator, make_run(server, "hello"))
        assert server.asked("get", "list") == [Request("get", "flows", "team", "hello")]
        writes = server.asked("create", "patch", "delete")
        made = [request.resource for request in writes if request.verb == "create"]
        children = {"configmaps", "serviceaccounts", "roles", "rolebindings", "networkpolicies", "secrets"}
        assert set(made[:6]) == children
        assert made[6:] == ["daskclusters", "events"]
        assert len(writes) <= 12


@pytest.mark.parametrize("end", ["Success", "Failed"])
async def test_nothing_but_a_few_words_is_kept_of_a_finished_run(server: ApiServer, end: str) -> None:
    """Neither its document nor its plan, nor what its queue remembers."""
    async with operating(server) as operator:
        runs = [make_run(server, f"hello-{number}") for number in range(5)]
        for run in runs:
            await live(server, operator, run, end=end)
        await until(lambda: not operator.queue.keys())
        assert operator.memory.keys() == set()
        known = [operator.cache.run(("team", run.name)) for run in runs]
        assert all(one is not None and one.document is None and one.settled is not None for one in known)
        assert [len(table) for table in (operator.cache.dask_clusters, operator.cache.pods)] == [0, 0]


async def test_finished_runs_cost_a_restarted_operator_no_request(server: ApiServer) -> None:
    """They are listed with the rest, and that is all; the plans of failed ones are not read either."""
    async with operating(server) as operator:
        for number in range(14):
            await live(server, operator, make_run(server, f"hello-{number}"), end="Failed" if number % 2 else "Success")
    server.requests.clear()
    async with operating(server) as operator:
        await until(lambda: len(operator.cache.flow_runs) == 14)
        await until(lambda: not operator.queue.keys())
        assert {request.verb for request in server.requests} == {"list", "watch"}
        assert len([asked for asked in server.asked("list") if asked.resource == "flowruns"]) <= 3
        assert operator.memory.keys() == set()
        assert all(run.document is None for _, run in operator.cache.flow_runs.items())


async def test_a_run_that_goes_on_is_taken_up_after_a_restart(server: ApiServer) -> None:
    """Its plan is read once."""
    run = make_run(server, "hello")
    async with operating(server):
        await until(lambda: is_made(server, run))
    make_pods(server, run)
    report(server, run, "Running", "Running")
    server.requests.clear()
    async with operating(server) as operator:
        await until(lambda: status(server, run)["state"] == "Running")
        report(server, run, "Success", "Succeeded")
        await until(lambda: status(server, run)["state"] == "Success")
        assert server.asked("get") == [Request("get", "configmaps", "team", run.plan_name)]
        assert operator.errors == []


async def test_a_plan_that_was_made_before_the_status_told_of_it_is_kept(server: ApiServer) -> None:
    """The operator died in between, and the Flow has changed since: what was fixed first is what runs."""
    run = make_run(server, "hello")
    async with operating(server):
        await until(lambda: is_made(server, run))
    first = status(server, run)["plan"]["sha256"]
    server.remove("roles", "team", run.service_account)
    server.edit("flowruns", "team", "hello", status={})
    place = {"namespace": "team", "name": "hello", "generation": 2}
    server.put("flows", {"kind": "Flow", "metadata": place, "spec": {"tasks": [{"name": "b", "function": "b:b"}]}})
    async with operating(server) as operator:
        await until(lambda: is_made(server, run))
        assert status(server, run)["plan"]["sha256"] == first
        assert operator.errors == []


async def test_a_conflict_is_looked_at_anew(server: ApiServer) -> None:
    """The agent reports the end while the operator writes that the run has begun: what it decided on is old."""
    run = make_run(server, "hello")
    async with operating(server) as operator:
        await until(lambda: is_made(server, run))
        make_pods(server, run)
        await until(lambda: len(operator.cache.pods_of(run)) == 2)
        server.surprises.append(lambda: report(server, run, "Success", "Succeeded"))
        report(server, run, "Running", "Running")
        await until(lambda: status(server, run)["state"] == "Success")
        assert status(server, run)["flow"]["state"] == "Success"
        assert (server.surprises, operator.errors) == ([], [])


async def test_a_run_is_not_declared_crashed_by_a_cache_that_lags_behind(server: ApiServer) -> None:
    """The claim is seen before the pod that made it: what is missing is asked for, and it is there."""
    run = make_run(server, "hello")
    async with operating(server) as operator:
        await until(lambda: is_made(server, run))
        await until(lambda: operator.queue.is_idle)
        make_pods(server, run)
        await until(lambda: len(operator.cache.pods) == 2)
        for key, _ in list(operator.cache.pods.items()):
            operator.cache.pods._remove(key)
        report(server, run, "Running", "Running")
        await until(lambda: status(server, run)["state"] == "Running")
        assert any(request.resource == "pods" for request in server.asked("list"))


async def test_a_run_whose_scheduler_pod_is_gone_has_crashed(server: ApiServer) -> None:
    """Seen by the watch, and asked for once more before it is said."""
    run = make_run(server, "hello")
    async with operating(server) as operator:
        await until(lambda: is_made(server, run))
        make_pods(server, run)
        report(server, run, "Running", "Running")
        await until(lambda: status(server, run)["state"] == "Running")
        server.remove("pods", "team", f"{run.base}-scheduler")
        await until(lambda: status(server, run)["state"] == "Crashed")
        assert operator.errors == []


async def test_a_finished_run_is_deleted_when_its_time_has_come(server: ApiServer) -> None:
    """Nothing is kept of it but that time: it is read again for this, and then nothing is left of it at all."""
    run = make_run(server, "hello", ttlAfterFinished="5s")
    async with operating(server) as operator:
        await live(server, operator, run)
        await until(lambda: ("flowruns", "team", "hello") not in server.objects)
        await until(lambda: not operator.queue.keys() and len(operator.cache.flow_runs) == 0)
        assert operator.memory.keys() == set()


async def test_a_later_time_to_live_is_heeded(server: ApiServer) -> None:
    """It may be changed after the end, when the run's document is not kept any more."""
    run = make_run(server, "hello")
    async with operating(server) as operator:
        await live(server, operator, run)
        document = server.objects["flowruns", "team", "hello"]
        metadata = {**document["metadata"], "generation": 2}
        spec = {**document["spec"], "ttlAfterFinished": "1s"}
        server.edit("flowruns", "team", "hello", metadata=metadata, spec=spec)
        await until(lambda: ("flowruns", "team", "hello") not in server.objects)


async def test_what_a_cluster_of_a_finished_run_left_is_taken_away_after_a_restart(server: ApiServer) -> None:
    """The operator died between the last status and the deletion of the DaskCluster."""
    run = make_run(server, "hello")
    async with operating(server) as operator:
        await until(lambda: is_made(server, run))
        cluster = server.objects["daskclusters", "team", run.cluster_name(1)]
        await live(server, operator, run)
    server.put("daskclusters", cluster)
    async with operating(server):
        await until(lambda: not is_made(server, run))


async def test_a_flow_that_comes_late_is_seen_by_the_run_that_waits_for_it(server: ApiServer) -> None:
    """Of Flows nothing is kept; the one that came is read for that run."""
    run = make_run(server, "late", flowRef={"name": "late"}, startDeadline="1h")
    async with operating(server):
        await until(lambda: status(server, run).get("state") == "Pending")
        place = {"namespace": "team", "name": "late", "generation": 1}
        server.put("flows", {"kind": "Flow", "metadata": place, "spec": FLOW})
        await until(lambda: is_made(server, run))
