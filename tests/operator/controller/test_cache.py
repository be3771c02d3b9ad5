"""What is kept of what watches show, and which changes are worth a look at which runs."""

from __future__ import annotations

import json
import tracemalloc
from typing import Any

import pytest

from flowkiln.api.names import RUN_LABEL, RUN_NAME_ANNOTATION
from flowkiln_operator.controller.cache import Cache
from flowkiln_operator.controller.work_queue import Key
from flowkiln_operator.resources.run import RunIdentity

REPORT = {"state": "Running", "reason": "Running", "holder": {"podUID": "u"}, "attempt": 1}
FINISHED = {
    "state": "Success",
    "observedGeneration": 1,
    "completionTime": "2026-01-01T12:00:00Z",
    "conditions": [{"type": "ClusterReady", "status": "False", "reason": "Deleted"}],
}
MONTHLY = ("team", "monthly")


class Looks(list[Key]):
    """The runs that were to be looked at since this was last asked."""

    def take(self) -> list[Key]:
        """Return them."""
        found = list(self)
        self.clear()
        return found


@pytest.fixture
def looks() -> Looks:
    """Return an empty record of looks."""
    return Looks()


@pytest.fixture
def cache(looks: Looks) -> Cache:
    """Return a cache to which everything has been listed: there is nothing."""
    made = Cache(looks.append)
    made.complete()
    return made


def run(version: int, name: str = "monthly", *, status: Any = None, flow: str = "weather", **meta: Any) -> Any:
    """Return a FlowRun's document."""
    metadata = {"namespace": "team", "name": name, "uid": f"uid-{name}", "generation": 1, **meta}
    return {
        "kind": "FlowRun",
        "metadata": {**metadata, "resourceVersion": str(version)},
        "spec": {"flowRef": {"name": flow}},
        "status": status or {},
    }


def child(version: int, *, run: str = "monthly", **metadata: Any) -> Any:
    """Return the document of a pod or DaskCluster of a run."""
    identity = RunIdentity("team", run, f"uid-{run}")
    made = {
        "namespace": "team",
        "name": identity.cluster_name(1),
        "uid": "child",
        "resourceVersion": str(version),
        "labels": {RUN_LABEL: identity.base},
        "annotations": {RUN_NAME_ANNOTATION: run},
        **metadata,
    }
    return {"kind": "DaskCluster", "metadata": made}


@pytest.mark.parametrize(
    "status",
    [
        {"flow": {**REPORT, "progress": "2/9"}},
        {"flow": {**REPORT, "counts": {"Success": 2}}},
        {"flow": {**REPORT, "message": "waiting for 7"}},
        {"flow": REPORT, "tasks": [{"name": "a", "state": "Success"}]},
    ],
)
def test_progress_is_not_worth_a_look(cache: Cache, looks: Looks, status: Any) -> None:
    """An agent reports it up to once a second, and nothing is decided by it; yet the newest version is kept."""
    cache.flow_runs.take(run(2, status={"flow": REPORT}))
    assert looks.take() == [MONTHLY]
    newest = run(3, status=status)
    cache.flow_runs.take(newest)
    assert looks.take() == []
    known = cache.run(MONTHLY)
    assert known is not None
    assert known.document == newest


@pytest.mark.parametrize(
    "change",
    [
        {"status": {"flow": {**REPORT, "state": "Success"}}},
        {"status": {"flow": {**REPORT, "holder": {"podUID": "another"}}}},
        {"status": {"flow": REPORT, "state": "Running"}},
        {"generation": 2},
        {"uid": "another"},
        {"deletionTimestamp": "2026-01-01T12:00:00Z"},
    ],
)
def test_whatever_decisions_rest_on_is_worth_a_look(cache: Cache, looks: Looks, change: Any) -> None:
    """Spec, deletion, the operator's part, and how the agent's flow is."""
    cache.flow_runs.take(run(2, status={"flow": REPORT}))
    looks.take()
    for version in (3, 4):
        cache.flow_runs.take(run(version, **{"status": {"flow": REPORT}, **change}))
    assert looks.take() == [MONTHLY]


def test_a_flow_concerns_the_runs_that_have_no_plan_yet(cache: Cache, looks: Looks) -> None:
    """Those of its own namespace which refer to it; the others' plans are fixed."""
    cache.flow_runs.take(run(2, "waits"))
    cache.flow_runs.take(run(3, "waits-for-another", flow="other"))
    cache.flow_runs.take(run(4, "runs", status={"plan": {"configMap": "c"}}))
    cache.flow_runs.take(run(5, "over", status=FINISHED))
    cache.flow_runs.take(run(6, "gone"))
    cache.flow_runs.lose(run(7, "gone"))
    looks.take()
    cache.flow_changed({"metadata": {"namespace": "team", "name": "weather"}})
    cache.flow_changed({"metadata": {"namespace": "elsewhere", "name": "weather"}})
    assert looks.take() == [("team", "waits")]


def test_a_child_concerns_the_run_that_it_names(cache: Cache, looks: Looks) -> None:
    """Pods of a run that is not known, of another class for one, concern nobody; nor does what stays the same."""
    cache.flow_runs.take(run(2))
    looks.take()
    cache.pods.take(child(3))
    cache.pods.take(child(4, name="another", run="of-another-class"))
    assert looks.take() == [MONTHLY]
    cache.pods.take(child(5))
    assert looks.take() == []
    cache.pods.take(child(6, deletionTimestamp="2026-01-01T12:00:00Z"))
    cache.pods.lose(child(7))
    assert looks.take() == [MONTHLY, MONTHLY]


def test_an_older_version_never_replaces_a_newer_one(cache: Cache) -> None:
    """The watch may bring what was so before the operator's own write, whose answer is known already."""
    cache.learn(run(9, status={"state": "Running"}))
    for take in (cache.flow_runs.take, cache.learn):
        take(run(8, status={"state": "Pending"}))
    assert cache.states() == ["Running"]
    cache.flow_runs.listed(None, set(), 8)
    assert cache.states() == ["Running"], "a list that is older than the write does not have it"
    cache.flow_runs.listed(None, set(), 9)
    assert cache.states() == []


def test_an_answer_that_the_watch_has_overtaken_brings_nothing_back(cache: Cache) -> None:
    """The object was written and deleted, and both events were faster than the answer to the write."""
    cache.flow_runs.take(run(2))
    cache.flow_runs.reached(None, 2)
    cache.flow_runs.lose(run(4))
    cache.flow_runs.reached(None, 4)
    cache.learn(run(3))
    assert cache.run(MONTHLY) is None


def test_the_late_end_of_an_old_run_does_not_strike_out_the_new_one_of_its_name(cache: Cache) -> None:
    """Deleted and created anew, and the new one was learned of from an answer."""
    cache.flow_runs.take(run(2))
    cache.learn(run(5, uid="another"))
    cache.flow_runs.lose(run(4))
    known = cache.run(MONTHLY)
    assert known is not None
    assert known.uid == "another"


def test_every_run_is_looked_at_once_when_all_has_been_listed(looks: Looks) -> None:
    """Before that, a run would seem to have lost its pods."""
    cache = Cache(looks.append)
    cache.flow_runs.take(run(2))
    looks.take()
    assert not cache.is_complete
    for _ in range(2):
        cache.complete()
    assert cache.is_complete
    assert looks.take() == [MONTHLY]


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"state": "Running"},
        {"observedGeneration": 0},
        {"conditions": []},
        {"conditions": [{"type": "ClusterReady", "status": "True"}]},
    ],
)
def test_of_a_run_whose_status_says_all_the_document_is_let_go(cache: Cache, change: Any) -> None:
    """One that is still to be written about is kept, as it will be needed at once."""
    cache.flow_runs.take(run(2, status={**FINISHED, **change}))
    known = cache.run(MONTHLY)
    assert known is not None
    assert (known.document is None) == (known.settled is not None) == (not change)
    assert cache.states() == [change.get("state", "Success")]


def test_a_finished_run_takes_little_memory_however_large_it_was(cache: Cache) -> None:
    """A thousand of them, with the status of a map of many children each: less than two kilobytes a run."""
    tasks = [{"name": f"task-{number}", "state": "Success", "message": "done" * 20} for number in range(50)]
    finished = json.dumps(run(2, status={**FINISHED, "tasks": tasks}))
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        for number in range(1000):
            document = json.loads(finished)
            document["metadata"] |= {"name": f"run-{number}", "uid": f"uid-{number}"}
            cache.flow_runs.take(document)
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(cache.flow_runs) == 1000
    assert (after - before) / 1000 < 2048
