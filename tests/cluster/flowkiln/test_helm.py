"""The Helm chart on a cluster of its own, as the session's has Flowkiln already: the whole life of a release."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.charts.helm import CHART, helm, helm_path
from tests.charts.rendering import SECOND
from tests.cluster.conftest import end_of, shown
from tests.cluster.harness import choose
from tests.cluster.harness.commands import CommandError, wait_until
from tests.cluster.harness.interface import Cluster, HarnessError, Images

from .flows import HELLO, make_flow, make_run
from .installation import DASK_KUBERNETES, OPERATOR, SYSTEM_NAMESPACE, Installation
from .rooms import room
from .runs import Runs, condition, state, task_status

pytestmark = pytest.mark.cluster

RELEASE = "flowkiln"
DEFINITION = "flows.flowkiln.dev"
DEFINITIONS = {
    DEFINITION,
    "flowruns.flowkiln.dev",
    "daskclusters.kubernetes.dask.org",
    "daskworkergroups.kubernetes.dask.org",
}
NEW_COLUMN = "Image"
RUN_NAME = "flowkiln.dev/run-name"

UNTIL_TOLD = make_flow(
    "until-told",
    {"name": "wait", "function": "waiting:wait"},
    source={
        "waiting.py": """
            import pathlib
            import time


            def wait():
                while not pathlib.Path("/tmp/told").exists():
                    time.sleep(0.1)
        """
    },
)
"""A task that runs until somebody creates a file in its worker."""


@dataclass(frozen=True)
class Release:
    """The chart's one release on a cluster."""

    cluster: Cluster
    images: Images
    name: str = RELEASE
    namespace: str = SYSTEM_NAMESPACE

    def install(self, chart: Path, *more: str, values: Mapping[str, Any] | None = None) -> str:
        """Install it, and wait until both controllers are ready; return what Helm said."""
        return self._apply("install", chart, values or {}, "--create-namespace", *more)

    def be_installed(self) -> Installation:
        """Install it unless it is."""
        self._apply("upgrade", CHART, {}, "--install", "--create-namespace")
        return Installation(self.cluster, self.images)

    def upgrade(self, chart: Path, values: Mapping[str, Any]) -> str:
        """Upgrade it."""
        return self._apply("upgrade", chart, values)

    def rollback(self) -> str:
        """Take it back to the revision before."""
        return self._helm("rollback", self.name, "--wait", "--timeout=180s")

    def uninstall(self) -> str:
        """Remove it."""
        return self._helm("uninstall", self.name, "--wait", "--timeout=180s")

    def operator_log(self) -> str:
        """Return what this release's operator has logged."""
        return self.cluster.kubectl("logs", f"deployment/{OPERATOR}", f"--namespace={self.namespace}")

    def _apply(self, verb: str, chart: Path, values: Mapping[str, Any], *more: str) -> str:
        given = {"image": _image(self.images.operator), "runtimeImage": _image(self.images.runtime), **values}
        return self._helm(verb, self.name, chart, "--wait", "--timeout=180s", *more, values=given)

    def _helm(self, *arguments: str | Path, values: Mapping[str, Any] | None = None) -> str:
        kubeconfig = ("--kubeconfig", self.cluster.kubeconfig, "--namespace", self.namespace)
        return helm(*arguments, *kubeconfig, values=values)


@pytest.fixture(scope="module")
def release(request: pytest.FixtureRequest) -> Iterator[Release]:
    """Return a release that is not installed yet, on a cluster that has nothing of Flowkiln."""
    own = choose.cluster(f"helm-{os.getpid()}", owned=True)
    if own.way == "bring":
        pytest.skip("needs a cluster without Flowkiln: run it with kind or the built node too")
    try:
        helm_path()
        with shown(request.config):
            own.start()
            images = own.images()
        yield Release(own, images)
    except HarnessError as error:
        pytest.fail(str(error), pytrace=False)
    finally:
        end_of(own, request)


@pytest.fixture
def older_chart(tmp_path: Path) -> Path:
    """Return the chart as it may have been once: one column of `kubectl get flows` was not there yet."""
    chart = tmp_path / "older"
    shutil.copytree(CHART, chart)
    description = yaml.safe_load((chart / "Chart.yaml").read_text())
    (chart / "Chart.yaml").write_text(yaml.safe_dump(description | {"version": "0.0.1"}))
    path = chart / "files" / "definitions" / f"{DEFINITION}.yaml"
    definition = yaml.safe_load(path.read_text())
    (version,) = definition["spec"]["versions"]
    version["additionalPrinterColumns"] = [
        column for column in version["additionalPrinterColumns"] if column["name"] != NEW_COLUMN
    ]
    path.write_text(yaml.safe_dump(definition))
    return chart


def test_the_life_of_a_release(release: Release, older_chart: Path) -> None:
    """Install, upgrade and roll back with a run in flight, uninstall.

    The run in flight keeps its pods through all of it and ends as Success. Upgrade and rollback take the definitions
    along. With namespaces to watch, runs work with rights in these only. What stays at the end is what the notes say.
    """
    cluster = release.cluster
    assert "The definitions stay" in release.install(older_chart)
    installation = Installation(cluster, release.images)
    assert NEW_COLUMN not in columns(cluster)

    with room(installation) as runs:
        runs.apply(HELLO, UNTIL_TOLD, make_run("first", "hello"), make_run("in-flight", "until-told"))
        assert state(runs.finish("first")) == "Success", runs.describe("first")
        runs.wait_until("in-flight", "its task runs", waits)
        pods, controllers = pods_of(runs, "in-flight"), controllers_of(installation)

        notes = release.upgrade(CHART, {"namespaces": [runs.namespace], "settings": {"logLevel": "DEBUG"}})
        assert f"It runs the FlowRuns of {runs.namespace}." in notes
        assert NEW_COLUMN in columns(cluster)
        assert not controllers & controllers_of(installation), "the new values are in force"
        assert not may_list_runs(cluster, "default")
        assert may_list_runs(cluster, runs.namespace)
        runs.apply(make_run("second", "hello"))
        assert state(runs.finish("second")) == "Success", runs.describe("second")
        assert pods_of(runs, "in-flight") == pods

        release.rollback()
        assert NEW_COLUMN not in columns(cluster)
        assert may_list_runs(cluster, "default")
        assert pods_of(runs, "in-flight") == pods
        tell(runs, "in-flight")
        run = runs.finish("in-flight")
        assert state(run) == "Success", runs.describe("in-flight")
        assert condition(run, "Succeeded")["reason"] == "Succeeded"
        assert run["status"]["flow"]["attempt"] == 1

        said = release.uninstall()
        assert all(name in said for name in DEFINITIONS), "Helm says what it leaves behind"
        assert left_behind(cluster) == {f"CustomResourceDefinition/{name}" for name in DEFINITIONS}
        assert [state(one) for one in runs.list("flowruns.flowkiln.dev")] == ["Success"] * 3
        release.install(CHART, "--dry-run=server")  # it would take the definitions up again


def test_runs_that_are_left_running(release: Release) -> None:
    """What docs and notes say of runs that outlive the release: their engine goes on and finishes the work.

    Their state is brought up to date when Flowkiln is installed again. The DaskCluster of one that was deleted
    meanwhile waits for that too; then nothing is left of it.
    """
    installation = release.be_installed()
    with room(installation) as runs:
        runs.apply(UNTIL_TOLD, make_run("goes-on", "until-told"), make_run("deleted", "until-told"))
        for name in ("goes-on", "deleted"):
            runs.wait_until(name, "its task runs", waits)
        pods, deleted = pods_of(runs, "goes-on"), runs.flow_run("deleted")

        release.uninstall()
        runs.delete("deleted")
        tell(runs, "goes-on")
        run = runs.wait_until("goes-on", "its engine reports the end", lambda run: reported(run) == "Success")
        assert (state(run), condition(run, "Finished")["status"]) == ("Running", "False")
        assert pods_of(runs, "goes-on") == pods
        going = {one["metadata"]["annotations"][RUN_NAME]: is_going(one) for one in runs.list("daskclusters")}
        assert going == {"goes-on": False, "deleted": True}

        release.install(CHART)
        assert state(runs.finish("goes-on")) == "Success", runs.describe("goes-on")
        wait_until("the clusters are gone", lambda: not runs.list("daskclusters"), seconds=120)
        wait_until("nothing of the deleted run is left", lambda: runs.owned_objects(deleted) == [], seconds=60)


def test_two_releases_share_a_cluster(release: Release) -> None:
    """Each works on the runs of its class, one of them on those without; a run may get a class that somebody serves."""
    installation = release.be_installed()
    second = Release(release.cluster, release.images, name="flowkiln-gpu", namespace="flowkiln-gpu")
    notes = second.install(CHART, values=SECOND)
    assert "the label flowkiln.dev/class=gpu" in notes
    with room(installation) as runs:
        unserved = of_class(make_run("unserved", "hello"), "tpu")
        runs.apply(HELLO, unserved, make_run("plain", "hello"), of_class(make_run("special", "hello"), "gpu"))
        for name in ("plain", "special"):
            assert state(runs.finish(name)) == "Success", runs.describe(name)
        assert state(runs.flow_run("unserved")) == ""
        runs.apply(of_class(unserved, "gpu"))
        assert state(runs.finish("unserved")) == "Success", second.operator_log()
        names = ("plain", "special", "unserved")
        logs = {one.name: one.operator_log() for one in (release, second)}
        worked_on = {who: {name for name in names if f"{runs.namespace}/{name}" in log} for who, log in logs.items()}
        assert worked_on == {RELEASE: {"plain"}, "flowkiln-gpu": {"special", "unserved"}}
    second.uninstall()
    assert may_list_runs(release.cluster, runs.namespace), "the first release's rights are its own"


def _image(reference: str) -> dict[str, str]:
    repository, _, tag = reference.rpartition(":")
    return {"repository": repository, "tag": tag}


def columns(cluster: Cluster) -> list[str]:
    """Return the columns that `kubectl get flows` has."""
    path = "jsonpath={.spec.versions[0].additionalPrinterColumns[*].name}"
    return cluster.kubectl("get", "customresourcedefinition", DEFINITION, "--output", path).split()


def waits(run: Mapping[str, Any]) -> bool:
    """Whether the task of a run of UNTIL_TOLD runs."""
    return bool(task_status(dict(run), "wait").get("state") == "Running")


def tell(runs: Runs, name: str) -> None:
    """Have the task of a run of UNTIL_TOLD end."""
    (worker,) = runs.pods(runs.flow_run(name), "worker")
    runs.kubectl("exec", worker["metadata"]["name"], "--container=worker", "--", "touch", "/tmp/told")


def reported(run: Mapping[str, Any]) -> str:
    """Return the state of the flow as its engine has reported it."""
    said: str = run.get("status", {}).get("flow", {}).get("state", "")
    return said


def is_going(document: Mapping[str, Any]) -> bool:
    """Whether an object is being deleted."""
    return "deletionTimestamp" in document["metadata"]


def of_class(run: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Return a FlowRun with this class."""
    return {**run, "metadata": {**run["metadata"], "labels": {"flowkiln.dev/class": name}}}


def pods_of(runs: Runs, name: str) -> set[str]:
    """Return the UIDs of a run's pods, and how often their containers were started anew."""
    run = runs.flow_run(name)
    return {
        f"{pod['metadata']['uid']} {container['name']} {container['restartCount']}"
        for component in ("scheduler", "worker")
        for pod in runs.pods(run, component)
        for container in pod["status"]["containerStatuses"]
    }


def controllers_of(installation: Installation) -> set[str]:
    """Return the names of the two controllers' pods."""
    installation.wait_until_ready()
    return {installation.pod_of(deployment) for deployment in (OPERATOR, DASK_KUBERNETES)}


def may_list_runs(cluster: Cluster, namespace: str) -> bool:
    """Whether the operator may list the FlowRuns of a namespace."""
    account = f"--as=system:serviceaccount:{SYSTEM_NAMESPACE}:{OPERATOR}"
    try:
        cluster.kubectl("auth", "can-i", "list", "flowruns.flowkiln.dev", account, f"--namespace={namespace}")
    except CommandError as error:
        if error.output.strip().endswith("no"):
            return False
        raise
    return True


def left_behind(cluster: Cluster) -> set[str]:
    """Return every object of the cluster that Helm has labelled as the release's."""
    selector = f"--selector=app.kubernetes.io/managed-by=Helm,app.kubernetes.io/instance={RELEASE}"
    kinds = cluster.kubectl("api-resources", "--verbs=list", "--output=name").split()
    found = json.loads(cluster.kubectl("get", ",".join(kinds), "--all-namespaces", selector, "--output=json"))["items"]
    return {f"{one['kind']}/{one['metadata']['name']}" for one in found}
