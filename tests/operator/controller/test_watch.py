"""Lists and watches: what the tables hold after all that can become of a connection."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from flowkiln.api.names import RUN_LABEL, RUN_NAME_ANNOTATION
from flowkiln_operator.controller import watch
from flowkiln_operator.controller.cache import Cache
from flowkiln_operator.controller.watch import watches
from flowkiln_operator.resources.run import RunIdentity

from .api_server import ApiServer, running_api_server
from .operating import Operator, operating, until

FAR_AWAY = "2999-01-01T00:00:00Z"


@pytest.fixture
async def server(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[ApiServer]:
    """Return a server; watches are taken up again at once."""
    monkeypatch.setattr(watch, "BACKOFFS", (0.01,))
    async with running_api_server() as running:
        yield running


def make_run(server: ApiServer, name: str, namespace: str = "team") -> dict[str, Any]:
    """Create a FlowRun that is for later."""
    spec = {"flowRef": {"name": "weather"}, "startTime": FAR_AWAY}
    return server.put("flowruns", {"kind": "FlowRun", "metadata": {"namespace": namespace, "name": name}, "spec": spec})


def make_children(server: ApiServer, run: dict[str, Any]) -> RunIdentity:
    """Create a DaskCluster, a pod and a Deployment that belong to a run."""
    metadata = run["metadata"]
    identity = RunIdentity(metadata["namespace"], metadata["name"], metadata["uid"])
    for resource in ("daskclusters", "pods", "deployments"):
        of_run = {
            "labels": {RUN_LABEL: identity.base},
            "annotations": {RUN_NAME_ANNOTATION: identity.name},
            "ownerReferences": [identity.owner_reference()],
        }
        place = {"namespace": identity.namespace, "name": identity.cluster_name(1)}
        server.put(resource, {"metadata": {**place, **of_run}})
    return identity


def sizes(operator: Operator) -> list[int]:
    """Return how many rows each table has."""
    cache = operator.cache
    return [len(table) for table in (cache.flow_runs, cache.dask_clusters, cache.pods, cache.deployments)]


async def test_a_list_of_many_pages_is_read_whole(server: ApiServer) -> None:
    """The first page is small, as nobody knows how large the objects are."""
    for number in range(45):
        make_run(server, f"run-{number}")
    async with operating(server) as operator:
        await until(lambda: sizes(operator)[0] == 45)
    assert 2 <= len([asked for asked in server.asked("list") if asked.resource == "flowruns"]) <= 4


async def test_what_comes_and_goes_while_it_is_watched_is_seen(server: ApiServer) -> None:
    """A run and the objects of its cluster, which are found by the run's label."""
    async with operating(server) as operator:
        await until(lambda: len(server.asked("watch")) == 5)
        identity = make_children(server, make_run(server, "monthly"))
        await until(lambda: sizes(operator) == [1, 1, 1, 1])
        assert len(operator.cache.pods_of(identity)) == 1
        for resource in ("daskclusters", "pods", "deployments"):
            server.remove(resource, "team", identity.cluster_name(1))
        server.remove("flowruns", "team", "monthly")
        await until(lambda: sizes(operator) == [0, 0, 0, 0])
        assert operator.cache.pods_of(identity) == ()


@pytest.mark.parametrize("code", [None, 410, 500], ids=["told afterwards", "410 Gone", "another error, for ever"])
async def test_what_is_deleted_while_watches_are_away_leaves_nothing_behind(
    server: ApiServer, code: int | None
) -> None:
    """Whether the API server can still tell what happened, or everything has to be listed anew."""
    server.code_of_old_versions = code or 410
    stays = make_children(server, make_run(server, "stays"))
    goes = make_children(server, make_run(server, "goes"))
    async with operating(server) as operator:
        await until(lambda: sizes(operator) == [2, 2, 2, 2])
        await until(lambda: bool(server.objects["flowruns", "team", "goes"].get("status")))
        await until(lambda: operator.queue.is_idle)
        server.cut()
        for resource in ("daskclusters", "pods", "deployments"):
            server.remove(resource, "team", goes.cluster_name(1))
        server.remove("flowruns", "team", "goes")
        if code is not None:
            server.forget_history()
        server.mend()
        await until(lambda: sizes(operator) == [1, 1, 1, 1])
        await until(lambda: operator.queue.is_idle)
        assert operator.cache.run(("team", "stays")) is not None
        assert len(operator.cache.pods_of(stays)) == 1
        assert operator.cache.flow_runs.group("team", "weather") == [
            (("team", "stays"), operator.cache.run(("team", "stays")))
        ]
        assert operator.memory.keys() <= {("team", "stays")}
        assert operator.queue.keys() <= {("team", "stays")}


async def test_a_run_that_is_replaced_while_watches_are_away_is_the_new_one(server: ApiServer) -> None:
    """Same name, another uid: nothing of the old one is taken for it."""
    old = make_run(server, "monthly")["metadata"]["uid"]
    async with operating(server) as operator:
        await until(lambda: sizes(operator)[0] == 1)
        server.cut()
        server.remove("flowruns", "team", "monthly")
        new = make_run(server, "monthly")["metadata"]["uid"]
        server.forget_history()
        server.mend()

        def is_new() -> bool:
            known = operator.cache.run(("team", "monthly"))
            return known is not None and known.uid == new != old

        await until(is_new)


async def test_namespaces_come_and_go(server: ApiServer) -> None:
    """One without rights holds nobody up; it is watched once there are some, and forgotten when they are taken away."""
    server.forbidden.add("later")
    make_run(server, "monthly", "team")
    make_run(server, "monthly", "later")
    make_run(server, "monthly", "elsewhere")
    async with operating(server, ["team", "later"]) as operator:
        await until(operator.cache.has_begun)
        await until(lambda: operator.cache.run(("team", "monthly")) is not None)
        assert sizes(operator)[0] == 1
        assert not operator.cache.is_complete("later")
        server.forbidden.clear()
        await until(lambda: operator.cache.is_complete("later"))
        assert sizes(operator)[0] == 2
        server.forbidden.add("later")
        server.cut()
        server.mend()
        await until(lambda: sizes(operator)[0] == 1)
        assert operator.cache.run(("team", "monthly")) is not None


@pytest.mark.parametrize(("run_class", "selector"), [(None, "!flowkiln.dev/class"), ("gpu", "flowkiln.dev/class=gpu")])
def test_only_runs_of_its_class_are_watched(run_class: str | None, selector: str) -> None:
    """Two operators of different classes share no run; Flows have no class, and children none of their own."""
    selections = {one.selection.kind: one.selection for one in watches(Cache(print), run_class)}
    assert selections["FlowRun"].labels == selector
    assert selections["Flow"].labels == ""
    assert {selections[kind].labels for kind in ("DaskCluster", "Pod", "Deployment")} == {RUN_LABEL}
