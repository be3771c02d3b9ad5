"""Runs whose cluster never comes up: the status says why while there is hope, and the end says it again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field

import pytest

from tests.cluster.harness.commands import wait_until

from .flows import Object, make_run, make_spec
from .installation import Installation
from .rooms import limit, room
from .runs import Runs, condition, state
from .watching import Recording

SOURCE = {"steps.py": "def rows():\n    return []\n"}
ROWS: Object = {"name": "rows", "function": "steps:rows"}
SHADOW = {**SOURCE, "flowkiln_operator.py": "raise SystemExit('this module hides the real one')\n"}


def spec(*, source: dict[str, str] = SOURCE, **cluster: object) -> Object:
    """Return the spec of a small flow with a startDeadline that is enough for containers to start, and to fail."""
    return make_spec(ROWS, source=source, cluster={"startDeadline": "40s", **cluster})


@dataclass(frozen=True)
class Trouble:
    """What keeps a cluster from coming up, and what the status has to say about it."""

    spec: Object
    reason: str
    words: list[str] = field(default_factory=list)


TROUBLES = {
    "no-image": Trouble(spec(image="registry.invalid/none:1"), "ImagePullFailed", ["registry.invalid/none:1"]),
    "no-node": Trouble(
        spec(podTemplate={"nodeSelector": {"no-such": "node"}}), "Unschedulable", ["cannot be scheduled", "node"]
    ),
    "no-room-for-workers": Trouble(
        spec(workers={"resources": {"requests": {"memory": "100Ti"}}}), "Unschedulable", ["memory"]
    ),
    "no-agent": Trouble(spec(source=SHADOW), "AgentUnavailable", ["container agent", "exit code 1"]),
}
"""Runs in a namespace that allows pods."""
NO_QUOTA = Trouble(spec(), "QuotaExceeded", ["exceeded quota", "few-pods"])
QUOTAS = {"no-pods": 0, "no-workers": 1}
"""Runs whose namespaces have room for so many pods: none, or the scheduler's."""

Poor = dict[str, tuple[Runs, Recording]]


@pytest.fixture(scope="module")
def failing(flowkiln: Installation, poor: Poor) -> Iterator[tuple[Runs, Recording]]:
    """Start the runs of `TROUBLES`, and one whose Flow never comes; record what their statuses say.

    The poor ones go their way beside them.
    """
    with room(flowkiln) as runs, runs.record() as recorded:
        runs.apply(make_run("no-flow", "nowhere", startDeadline="15s"))
        runs.apply(*(make_run(name, trouble.spec) for name, trouble in TROUBLES.items()))
        yield runs, recorded


@pytest.fixture(scope="module")
def poor(flowkiln: Installation) -> Iterator[Poor]:
    """Start a run in a namespace of its own for each of `QUOTAS`."""
    with ExitStack() as rooms:
        started = {}
        for name, most in QUOTAS.items():
            runs = rooms.enter_context(room(flowkiln))
            recorded = rooms.enter_context(runs.record())
            limit(runs, "few-pods", "pods", most)
            runs.apply(make_run(name, NO_QUOTA.spec))
            started[name] = runs, recorded
        yield started


def check_reported(recorded: Recording, name: str, trouble: Trouble) -> None:
    """Wait until ClusterReady=False names the reason, with a sentence, while the run is still Pending."""

    def reports(run: Object) -> bool:
        ready = condition(run, "ClusterReady")
        return bool(ready) and ready["reason"] == trouble.reason and state(run) in ("Pending", "Running")

    wait_until(
        f"{name} tells {trouble.reason}",
        lambda: any(reports(version.object) for version in recorded.of(name)),
        seconds=90,
    )
    run = next(version.object for version in recorded.of(name) if reports(version.object))
    ready = condition(run, "ClusterReady")
    assert ready["status"] == "False"
    for words in trouble.words:
        assert words in ready["message"]
    assert condition(run, "Finished")["status"] == "False"


def check_crashed(runs: Runs, name: str, trouble: Trouble) -> None:
    """Wait for the end: Crashed with the reason that was told before, and nothing left that runs."""
    run = runs.finish(name)
    assert state(run) == "Crashed"
    succeeded = condition(run, "Succeeded")
    assert succeeded["reason"] == trouble.reason
    assert "startDeadline" in succeeded["message"]
    for words in trouble.words:
        assert words in succeeded["message"]
    ready = condition(run, "ClusterReady")
    assert (ready["status"], ready["reason"]) == ("False", trouble.reason)
    running = ("DaskCluster/", "DaskWorkerGroup/", "Deployment/", "ReplicaSet/", "Pod/", "Service/")

    def is_quiet(run: Object) -> bool:
        return not [thing for thing in runs.owned_objects(run) if thing.startswith(running)]

    runs.wait_until(name, "nothing of it runs any more", is_quiet, seconds=120)


@pytest.mark.parametrize("name", TROUBLES)
def test_what_keeps_a_cluster_from_starting_is_told(failing: tuple[Runs, Recording], name: str) -> None:
    """ClusterReady=False, while the run waits, has the reason and a sentence that names what a person has to mend."""
    check_reported(failing[1], name, TROUBLES[name])


@pytest.mark.parametrize("name", QUOTAS)
def test_a_quota_that_denies_pods_is_told(poor: Poor, name: str) -> None:
    """There is no pod to look at: the message is that of the Deployment, which names the quota."""
    check_reported(poor[name][1], name, NO_QUOTA)


@pytest.mark.parametrize("name", TROUBLES)
def test_a_cluster_that_does_not_start_in_time_crashes_its_run(failing: tuple[Runs, Recording], name: str) -> None:
    """When cluster.startDeadline is over, the run is Crashed for the same reason, and its objects are gone."""
    check_crashed(failing[0], name, TROUBLES[name])


@pytest.mark.parametrize("name", QUOTAS)
def test_a_quota_that_denies_pods_crashes_the_run(poor: Poor, name: str) -> None:
    """When cluster.startDeadline is over, the run is Crashed with the quota as its reason."""
    check_crashed(poor[name][0], name, NO_QUOTA)


def test_a_flow_that_does_not_come_fails_the_run(failing: tuple[Runs, Recording]) -> None:
    """Pending with FlowNotFound until FlowRun.startDeadline, then Failed with StartDeadlineExceeded."""
    runs, recorded = failing
    run = runs.finish("no-flow")
    assert state(run) == "Failed"
    assert condition(run, "Succeeded")["reason"] == "StartDeadlineExceeded"
    assert "nowhere" in condition(run, "Succeeded")["message"]
    waited = [version.object for version in recorded.of("no-flow") if state(version.object) == "Pending"]
    assert {condition(run, "Succeeded")["reason"] for run in waited} == {"FlowNotFound"}
    assert runs.owned_objects(run) == []
