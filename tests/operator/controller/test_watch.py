"""Lists and watches: what the tables hold after all that can become of a connection."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import kopf
import pytest

from flowkiln.api import API_VERSION
from flowkiln.api.names import FLOW_RUN_KIND, RUN_LABEL, RUN_NAME_ANNOTATION
from flowkiln_operator.controller import sweep
from flowkiln_operator.controller.cache import Cache
from flowkiln_operator.controller.handlers import make_settings, watched_kinds
from flowkiln_operator.resources.run import RunIdentity

from .api_server import ApiServer, connect, running_api_server
from .operating import Operator, operating, until

FAR_AWAY = "2999-01-01T00:00:00Z"


@pytest.fixture
async def server(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[ApiServer]:
    """Return a server; sweeps are not delayed."""
    monkeypatch.setattr(sweep, "DELAY", 0.01)
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


async def test_names_are_listed_in_pages(server: ApiServer) -> None:
    """The first page is small, because the size of the objects is not known."""
    for number in range(45):
        make_run(server, f"run-{number}")
    async with connect(server) as api:
        names, version = await api.names(API_VERSION, FLOW_RUN_KIND, None, labels="")
    assert names == {("team", f"run-{number}") for number in range(45)}
    assert version == server.version
    assert 2 <= len(server.asked("list")) <= 4


async def test_what_comes_and_goes_while_it_is_watched_is_seen(server: ApiServer) -> None:
    """A run and the objects of its cluster, which are found by the run's label."""
    async with operating(server) as operator:
        identity = make_children(server, make_run(server, "monthly"))
        await until(lambda: sizes(operator) == [1, 1, 1, 1])
        assert len(operator.cache.pods_of(identity)) == 1
        for resource in ("daskclusters", "pods", "deployments"):
            server.remove(resource, "team", identity.cluster_name(1))
        server.remove("flowruns", "team", "monthly")
        await until(lambda: sizes(operator) == [0, 0, 0, 0])
        assert operator.cache.pods_of(identity) == ()


@pytest.mark.parametrize("history", [True, False], ids=["told afterwards", "410 Gone"])
async def test_what_is_deleted_while_watches_are_away_leaves_nothing_behind(server: ApiServer, history: bool) -> None:
    """Whether the API server can still tell what happened, or everything has to be listed anew."""
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
        if not history:
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
    """One that is created later is watched from then on; nothing is kept of one that is deleted."""
    make_run(server, "monthly", "team")
    make_run(server, "monthly", "elsewhere")
    async with operating(server, ["team", "later"]) as operator:
        await until(lambda: operator.cache.run(("team", "monthly")) is not None)
        assert sizes(operator)[0] == 1
        make_run(server, "monthly", "later")
        await until(lambda: sizes(operator)[0] == 2)
        await until(lambda: operator.queue.is_idle)
        server.remove("flowruns", "later", "monthly")
        server.remove("namespaces", "", "later")
        await until(lambda: sizes(operator)[0] == 1)
        assert operator.cache.run(("team", "monthly")) is not None


async def test_a_sweep_that_fails_is_tried_again(server: ApiServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """It also finds a deletion of which nothing else is a sign, because no object of that kind is left."""
    monkeypatch.setattr(sweep, "PERIOD", 0.01)
    make_run(server, "goes")
    async with operating(server) as operator:
        await until(lambda: sizes(operator)[0] == 1)
        server.failures = 3
        server.lose("flowruns", "team", "goes")
        await until(lambda: sizes(operator)[0] == 0)
        assert server.failures == 0


@pytest.mark.parametrize(("run_class", "selector"), [(None, "!flowkiln.dev/class"), ("gpu", "flowkiln.dev/class=gpu")])
def test_only_runs_of_its_class_are_watched(run_class: str | None, selector: str) -> None:
    """Two operators of different classes share no run; Flows have no class, and children none of their own."""
    selectors = make_settings(watched_kinds(Cache(print), run_class)).watching.label_selectors
    assert selectors["flowkiln.dev", "v1alpha1", "flowruns"] == selector
    assert ("flowkiln.dev", "v1alpha1", "flows") not in selectors
    children = (("kubernetes.dask.org", "v1", "daskclusters"), ("", "v1", "pods"), ("apps", "v1", "deployments"))
    assert {selectors[kind] for kind in children} == {RUN_LABEL}


async def test_kopf_neither_copies_nor_compares_objects(server: ApiServer) -> None:
    """It would do that with each event, and a status may have a megabyte."""
    storage = make_settings(watched_kinds(Cache(print), None)).persistence.diffbase_storage
    body = kopf.Body(make_run(server, "monthly"))
    assert storage.build(body=body) == {}
    assert storage.fetch(body=body) is None
    patch = kopf.Patch()
    storage.store(body=body, patch=patch, essence={})
    assert dict(patch) == {}
