"""Fixtures for tests of Flowkiln on a real Kubernetes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.cluster.conftest import shown
from tests.cluster.harness.commands import announced
from tests.cluster.harness.interface import Cluster, Images
from tests.cluster.sharing import Guest

from .installation import Installation, install
from .rooms import room
from .runs import Runs
from .watching import logs_of_runs


@pytest.fixture(scope="session")
def flowkiln(cluster: Cluster, images: Images, request: pytest.FixtureRequest) -> Installation:
    """Return Flowkiln, installed and in force on the cluster."""
    if guest := Guest.of(request.config):
        guest.wait_for_flowkiln()
        return Installation(cluster, images)
    with shown(request.config), announced("installing Flowkiln"):
        return install(cluster, images)


@pytest.fixture
def runs(flowkiln: Installation, namespace: str) -> Iterator[Runs]:
    """Return the flows and runs of a namespace that is this test's own."""
    with logs_of_runs(flowkiln.cluster, namespace, {"agent"}) as agents:
        yield Runs(flowkiln, namespace, agents)


@pytest.fixture(scope="module")
def shared_runs(flowkiln: Installation) -> Iterator[Runs]:
    """Return the flows and runs of a namespace that all tests of a module look at."""
    with room(flowkiln) as runs:
        yield runs
