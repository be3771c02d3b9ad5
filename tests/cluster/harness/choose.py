"""Pick the way to a cluster: one that somebody brings, else kind, else a node built on this host."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Mapping

from .brought import BroughtCluster
from .docker_engine import docker_answers
from .interface import Cluster, HarnessError
from .kind import KindCluster
from .node.cluster import NodeCluster

NONE_THERE = (
    "No Kubernetes for tests can be had here: set FLOWKILN_TEST_KUBECONFIG and FLOWKILN_TEST_IMAGE to use a cluster, "
    "or install Docker, kind and Helm 3, or run as root on Debian Linux with Go 1.24 or later."
)

Way = Callable[[str, bool], Cluster]  # name, owned

WAYS: Mapping[str, Way] = {
    "bring": lambda name, owned: BroughtCluster(),
    "kind": lambda name, owned: KindCluster(name, owned=owned),
    "node": lambda name, owned: NodeCluster(name, owned=owned),
}


def cluster(name: str, *, owned: bool) -> Cluster:
    """Return the cluster of this name, running or not, in the way that this host offers.

    `owned`: it ends with this process. FLOWKILN_TEST_CLUSTER=bring|kind|node forces a way.
    """
    return WAYS[_forced() or way_offered(dict(os.environ), docker_answers, node_can_be_built)](name, owned)


def way_offered(environment: Mapping[str, str], docker: Callable[[], bool], node: Callable[[], bool]) -> str:
    """Return the first way that is there; HarnessError with what to install when none is."""
    if environment.get("FLOWKILN_TEST_KUBECONFIG"):
        return "bring"
    if docker():
        return "kind"
    if node():
        return "node"
    raise HarnessError(NONE_THERE)


def node_can_be_built() -> bool:
    """Return whether this host can build and run a node: what apt can install is not asked for."""
    return sys.platform == "linux" and os.geteuid() == 0 and bool(shutil.which("go")) and bool(shutil.which("apt-get"))


def _forced() -> str | None:
    forced = os.environ.get("FLOWKILN_TEST_CLUSTER")
    if forced and forced not in WAYS:
        raise HarnessError(f"FLOWKILN_TEST_CLUSTER={forced}: it is one of {', '.join(WAYS)}")
    return forced or None
