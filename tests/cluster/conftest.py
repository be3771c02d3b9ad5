"""Fixtures for tests on a real Kubernetes.

FLOWKILN_TEST_REUSE=NAME uses a cluster that `python -m tests.cluster up --name NAME` left running.
"""

from __future__ import annotations

import json
import os
import signal
import uuid
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType

import pytest

from tests.charts.helm import helm_path

from .harness import choose
from .harness.commands import wait_until
from .harness.ending import end
from .harness.interface import Cluster, HarnessError, Images

RESTRICTED = {"pod-security.kubernetes.io/enforce": "restricted"}
TIME_LIMIT = 900  # seconds: kind takes minutes to start and to load images on a small machine
FAILED = pytest.StashKey[bool]()
CLUSTER = pytest.StashKey[Cluster]()
KEPT = pytest.StashKey[list[Path]]()
RELEASE = "release"  # the fixture of those tests that need Helm


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what needs a cluster (`-m "not cluster"` leaves it out), and allow time for the cluster's start."""
    for item in items:
        if _needs_cluster(item):
            item.add_marker("cluster")
            if item.get_closest_marker("timeout") is None:
                item.add_marker(pytest.mark.timeout(TIME_LIMIT))


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> None:
    """Build what is built once before the first test, whose time limit does not allow for that."""
    if session.config.option.collectonly or not any(_needs_cluster(item) for item in session.items):
        return
    with suppress(HarnessError):  # the fixture meets it again, and says it as the reason of each test's failure
        chosen = session.config.stash[CLUSTER] = _chosen_cluster()
        chosen.prepare()
        if any(RELEASE in getattr(item, "fixturenames", ()) for item in session.items):
            helm_path()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Remember that a test on the cluster failed, so that the cluster's logs are kept."""
    report = yield
    if report.failed and _needs_cluster(item):
        item.session.stash[FAILED] = True
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Name the folders with the clusters' logs after a failure."""
    for kept in config.stash.get(KEPT, []):
        terminalreporter.write_line(f"logs of the test cluster: {kept}")


@pytest.fixture(scope="session")
def cluster(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    """Bring up a cluster for the session, or use the running one that FLOWKILN_TEST_REUSE names."""
    reused = bool(os.environ.get("FLOWKILN_TEST_REUSE"))
    with _orderly_end():
        try:
            chosen = request.config.stash.get(CLUSTER, None) or _chosen_cluster()
            if reused:
                chosen.kubectl("get", "--raw=/readyz")
            else:
                with shown(request.config):
                    chosen.start()
        except HarnessError as error:
            pytest.fail(str(error), pytrace=False)
        try:
            yield chosen
        finally:
            end_of(chosen, request, stop=not reused)


@pytest.fixture(scope="session")
def own_cluster(cluster: Cluster) -> Cluster:
    """Return the cluster if it is the harness's own: its audit log can be read and its API server stopped."""
    if cluster.way == "bring":
        pytest.skip("needs the audit log or the API server: run it with kind or the built node too")
    return cluster


@pytest.fixture(scope="session")
def images(cluster: Cluster, request: pytest.FixtureRequest) -> Images:
    """Return the product's images, present on the cluster."""
    with shown(request.config):
        return cluster.images()


@pytest.fixture
def namespace(cluster: Cluster) -> Iterator[str]:
    """Make a namespace for one test, in which only pods of the restricted profile may run."""
    name = f"test-{uuid.uuid4().hex[:10]}"
    manifest = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": RESTRICTED}}
    cluster.kubectl("create", "--filename=-", input=json.dumps(manifest))
    account = ("get", "serviceaccount", "default", f"--namespace={name}", "--ignore-not-found", "--output=name")
    wait_until("the namespace has its service account", lambda: bool(cluster.kubectl(*account)), seconds=60)
    yield name
    cluster.kubectl("delete", "namespace", name, "--wait=false")


@contextmanager
def shown(config: pytest.Config) -> Iterator[None]:
    """Show on the terminal what the harness says, which pytest captures otherwise: some of its steps take minutes."""
    capture, reporter = (config.pluginmanager.getplugin(name) for name in ("capturemanager", "terminalreporter"))
    with capture.global_and_fixture_disabled():
        reporter.ensure_newline()
        yield


def end_of(cluster: Cluster, request: pytest.FixtureRequest, *, stop: bool = True) -> None:
    """End a cluster; its logs are kept, and named in the summary, when a test on a cluster has failed."""
    kept = end(cluster, keep_logs=request.session.stash.get(FAILED, False), stop=stop)
    if kept is not None:
        request.config.stash.setdefault(KEPT, []).append(kept)


def _needs_cluster(item: pytest.Item) -> bool:
    return "cluster" in getattr(item, "fixturenames", ()) or item.get_closest_marker("cluster") is not None


def _chosen_cluster() -> Cluster:
    return choose.cluster(os.environ.get("FLOWKILN_TEST_REUSE") or f"test-{os.getpid()}", owned=True)


@contextmanager
def _orderly_end() -> Iterator[None]:
    """End on SIGTERM as on Ctrl-C: with the fixtures' ends, so that nothing is left behind."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
