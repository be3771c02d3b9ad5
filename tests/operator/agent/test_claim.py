"""Who may take a run, and in what shape it is found: tables, and the requests that follow."""

from __future__ import annotations

from typing import Any

import pytest

from flowkiln_operator.agent.api_client import FlowRunApi
from flowkiln_operator.agent.claim import Claimed, Refused, Start, decide_claim, lost
from flowkiln_operator.agent.claiming import claim_run
from flowkiln_operator.agent.projection.flow_status import Holder
from flowkiln_operator.agent.recovery import MAX_LOADS, decide_recovery
from tests.operator.agent.api_server import UID, ApiServer, Problem
from tests.operator.agent.conftest import HOLDER, RUN

OTHER = Holder("other-pod", "Scheduler-2")


def flow_run(*, uid: str = UID, deleting: bool = False, **status: Any) -> dict[str, Any]:
    """A FlowRun as it is read."""
    metadata: dict[str, Any] = {"uid": uid, "resourceVersion": "7"}
    if deleting:
        metadata["deletionTimestamp"] = "2026-01-01T12:00:00Z"
    return {"metadata": metadata, "status": status}


def flow(holder: Holder, **known: Any) -> dict[str, Any]:
    """`status.flow` of a run that somebody has claimed."""
    return {"state": "Running", "attempt": 1, "runCount": 1, "holder": holder.document(), **known}


@pytest.mark.parametrize(
    ("sentence", "found", "attempt", "start"),
    [
        ("nobody has had the run", flow_run(), 1, Start.FRESH),
        ("there is no status at all", {"metadata": {"uid": UID, "resourceVersion": "7"}}, 1, Start.FRESH),
        ("we had it, and died while loading", flow_run(flow=flow(HOLDER, runCount=0)), 1, Start.FRESH),
        ("we had it, and died while running", flow_run(flow=flow(HOLDER)), 1, Start.SAME_CLUSTER),
        ("we had it in another pod", flow_run(flow=flow(Holder("old", "Scheduler-1"))), 1, Start.SAME_CLUSTER),
        ("a scheduler before ours ran it", flow_run(flow=flow(OTHER, attempt=3)), 4, Start.NEW_CLUSTER),
        ("a scheduler before ours never began", flow_run(flow=flow(OTHER, runCount=0)), 2, Start.FRESH),
        ("the attempt is nonsense", flow_run(flow=flow(OTHER, attempt="x")), 2, Start.NEW_CLUSTER),
        ("our cluster is the newest", flow_run(cluster={"number": 2}), 1, Start.FRESH),
    ],
)
def test_a_run_that_may_be_taken(sentence: str, found: dict[str, Any], attempt: int, start: Start) -> None:
    """Attempt counts schedulers; what was found says whether anything may have run."""
    decision = decide_claim(found, run=RUN, cluster_number=2, holder=HOLDER)
    assert isinstance(decision, Claimed), sentence
    assert (decision.attempt, decision.start, decision.resource_version) == (attempt, start, "7"), sentence


@pytest.mark.parametrize(
    ("found", "why"),
    [
        (flow_run(uid="another"), "another one of the same name"),
        (flow_run(deleting=True), "being deleted"),
        (flow_run(state="Cancelled"), "over: Cancelled"),
        (flow_run(flow=flow(HOLDER, state="Success")), "reported as Success before"),
        (flow_run(cluster={"number": 3}), "has cluster 3 by now"),
    ],
)
def test_a_run_that_may_not_be_taken(found: dict[str, Any], why: str) -> None:
    """Another uid, deletion, an end, a newer cluster: hands off, with the reason."""
    decision = decide_claim(found, run=RUN, cluster_number=2, holder=HOLDER)
    assert isinstance(decision, Refused)
    assert why in decision.why


@pytest.mark.parametrize(
    ("found", "why"),
    [
        (flow_run(flow=flow(HOLDER)), None),
        (flow_run(flow=flow(HOLDER), state="Running", cluster={"number": 2}), None),
        (flow_run(flow=flow(OTHER)), "another engine process"),
        (flow_run(), "another engine process"),
        (flow_run(flow=flow(HOLDER), state="Failed"), "over: Failed"),
        (flow_run(flow=flow(HOLDER), uid="another"), "another one"),
        (flow_run(flow=flow(HOLDER), deleting=True), "being deleted"),
        (flow_run(flow=flow(HOLDER), cluster={"number": 3}), "cluster 3"),
    ],
)
def test_when_a_claimed_run_is_lost(found: dict[str, Any], why: str | None) -> None:
    """What a second look at the FlowRun means for the agent that drives it."""
    answer = lost(found, run=RUN, cluster_number=2, holder=HOLDER)
    assert answer is None if why is None else why in str(answer)


@pytest.mark.parametrize(
    ("start", "restarts", "expected"),
    [
        (Start.FRESH, 0, None),
        (Start.FRESH, MAX_LOADS - 1, None),
        (Start.FRESH, MAX_LOADS, ("Failed", "FlowLoadFailed")),
        (Start.SAME_CLUSTER, 1, ("Crashed", "ClusterLost")),
        (Start.NEW_CLUSTER, 0, ("Crashed", "ClusterLost")),
    ],
)
def test_what_becomes_of_a_run_that_was_begun(start: Start, restarts: int, expected: tuple[str, str] | None) -> None:
    """Nothing begun: run. Begun, and the knowledge of it gone: say so, and never run anything twice in silence."""
    summary = decide_recovery(start, restarts=restarts, last_exit="signal SIGSEGV")
    assert (summary and (summary.state, summary.reason)) == expected
    if summary is not None and restarts:
        assert "SIGSEGV" in summary.message


async def test_a_claim_keeps_what_was_there(server: ApiServer, api: FlowRunApi) -> None:
    """An apply drops what it does not name, so the claim names everything as it was read."""
    tasks = [{"name": "a", "state": "Running"}]
    await server.edit(flow=flow(OTHER, counts={"Running": 1}, message="hello"), tasks=tasks)
    claimed = await claim_run(api, RUN, 1, HOLDER)
    assert isinstance(claimed, Claimed)
    assert server.status["tasks"] == tasks
    assert server.status["flow"] == flow(HOLDER, counts={"Running": 1}, message="hello", attempt=2)
    assert claimed.resource_version == str(server.version)


async def test_a_first_claim_shows_that_the_flow_is_loading(server: ApiServer, api: FlowRunApi) -> None:
    """Between claim and first report people see what goes on, and that nothing has been run."""
    await claim_run(api, RUN, 1, HOLDER)
    assert server.status["flow"]["message"] == "loading the flow"
    assert (server.status["flow"]["state"], server.status["flow"]["runCount"]) == ("Running", 0)


async def test_two_agents_that_claim_at_once_do_not_both_win(server: ApiServer, api: FlowRunApi) -> None:
    """The version that was read goes along: a write in between makes the claim begin again from what is there now."""
    server.problems["PATCH"] = [Problem(409), Problem(503)]
    claimed = await claim_run(api, RUN, 1, HOLDER)
    assert isinstance(claimed, Claimed)
    patches = [request for request in server.requests if request.method == "PATCH"]
    assert [request.problem for request in patches] == [409, 503, None]
    assert sum(request.method == "GET" for request in server.requests) == 3
    assert all(request.body is not None and request.body["metadata"]["resourceVersion"] for request in patches)


async def test_a_claim_waits_for_its_rights(server: ApiServer, api: FlowRunApi) -> None:
    """Roles may take a moment to be in force when the pod starts."""
    server.problems["GET"] = [Problem(403), Problem(401)]
    assert isinstance(await claim_run(api, RUN, 1, HOLDER), Claimed)


async def test_a_deleted_run_is_not_claimed(server: ApiServer, api: FlowRunApi) -> None:
    """A FlowRun that is gone before the agent is up ends the agent's work."""
    await server.delete()
    assert await claim_run(api, RUN, 1, HOLDER) == Refused("the FlowRun is gone")
