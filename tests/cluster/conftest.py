"""Fixtures for tests on a real Kubernetes.

FLOWKILN_TEST_REUSE=NAME uses a cluster that `python -m tests.cluster up --name NAME` left running.
"""

from __future__ import annotations

import uuid
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress

import pytest

from tests.charts.helm import helm_path

from .harness.api import api
from .harness.commands import wait_until
from .harness.interface import Cluster, HarnessError, Images
from .sharing import Guest, bring_up, chosen_cluster, orderly_end, take_down

RESTRICTED = {"pod-security.kubernetes.io/enforce": "restricted"}
TIME_LIMIT = 900  # seconds: kind takes minutes to start and to load images on a small machine
FAILED = pytest.StashKey[bool]()
CLUSTER = pytest.StashKey[Cluster]()
RELEASE = "release"  # the fixture of those tests that need Helm


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what needs a cluster (`-m "not cluster"` leaves it out), and allow time for the cluster's start."""
    for item in items:
        if _needs_cluster(item):
            item.add_marker("cluster")
            if item.get_closest_marker("timeout") is None:
                item.add_marker(pytest.mark.timeout(TIME_LIMIT))


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Build what is built once before the time limit of a test begins, which does not allow for that."""
    if _needs_cluster(item):
        with suppress(HarnessError):  # the fixture meets it again, and says it as the reason of each test's failure
            _prepare(item)
    return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Remember that a test on the cluster failed, so that the cluster's logs are kept."""
    report = yield
    if report.failed and _needs_cluster(item):
        item.session.stash[FAILED] = True
    return report


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Tell the first of several processes which logs are kept."""
    Guest.tell_kept_logs(session.config)


@pytest.fixture(scope="session")
def cluster(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    """Bring up a cluster for the session, or use the running one that FLOWKILN_TEST_REUSE names."""
    guest = Guest.of(request.config)
    with orderly_end():
        try:
            if guest:
                chosen = guest.cluster()
            else:
                chosen = request.config.stash.get(CLUSTER, None) or chosen_cluster()
                with shown(request.config):
                    bring_up(chosen)
        except HarnessError as error:
            pytest.fail(str(error), pytrace=False)
        try:
            yield chosen
        finally:
            if not guest:
                end_of(chosen, request)


@pytest.fixture(scope="session")
def own_cluster(cluster: Cluster) -> Cluster:
    """Return the cluster if it is the harness's own: its audit log can be read and its API server stopped."""
    if cluster.way == "bring":
        pytest.skip("needs the audit log or the API server: run it with kind or the built node too")
    return cluster


@pytest.fixture(scope="session")
def images(cluster: Cluster, request: pytest.FixtureRequest) -> Images:
    """Return the product's images, present on the cluster."""
    if guest := Guest.of(request.config):
        return guest.images()
    with shown(request.config):
        return cluster.images()


@pytest.fixture
def namespace(cluster: Cluster) -> Iterator[str]:
    """Make a namespace for one test, in which only pods of the restricted profile may run."""
    with new_namespace(cluster, "test") as name:
        yield name


@contextmanager
def new_namespace(cluster: Cluster, prefix: str) -> Iterator[str]:
    """Have a namespace, in which only pods of the restricted profile may run, for the length of a `with` block."""
    name, server = f"{prefix}-{uuid.uuid4().hex[:10]}", api(cluster.kubeconfig)
    server.create_namespace(name, RESTRICTED)
    wait_until(
        "the namespace has its service account",
        lambda: server.get("serviceaccounts", "default", name) is not None,
        seconds=60,
    )
    try:
        yield name
    finally:
        server.delete_namespace(name)


@contextmanager
def shown(config: pytest.Config) -> Iterator[None]:
    """Show on the terminal what the harness says, which pytest captures otherwise: some of its steps take minutes."""
    capture, reporter = (config.pluginmanager.getplugin(name) for name in ("capturemanager", "terminalreporter"))
    with capture.global_and_fixture_disabled():
        if reporter:  # one of several processes has none
            reporter.ensure_newline()
        yield


def end_of(cluster: Cluster, request: pytest.FixtureRequest) -> None:
    """End a cluster; its logs are kept, and named in the summary, when a test on a cluster has failed."""
    take_down(cluster, request.config, keep_logs=request.session.stash.get(FAILED, False))


def _needs_cluster(item: pytest.Item) -> bool:
    return "cluster" in getattr(item, "fixturenames", ()) or item.get_closest_marker("cluster") is not None


def _prepare(item: pytest.Item) -> None:
    stash, guest = item.config.stash, Guest.of(item.config)
    if guest and "cluster" in getattr(item, "fixturenames", ()):
        stash[CLUSTER] = stash.get(CLUSTER, None) or guest.cluster()
    elif CLUSTER not in stash:
        stash[CLUSTER] = chosen_cluster()
        stash[CLUSTER].prepare()
    if RELEASE in getattr(item, "fixturenames", ()):
        helm_path()
