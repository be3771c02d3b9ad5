"""What the network policies allow where a network enforces them: of the two controllers, and of each run."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from flowkiln.api.names import RUN_LABEL
from flowkiln_operator.resources.network_policy import network_policy
from flowkiln_operator.resources.run import RunIdentity

from .network_policies import Peer, Policy, may_connect

MANIFESTS = Path(__file__).parents[2] / "manifests"
SYSTEM = "flowkiln-system"
MINE = RunIdentity("team", "weather", "11111111-0000-0000-0000-000000000000")
OTHER = RunIdentity("team", "weather", "22222222-0000-0000-0000-000000000000")
ABROAD = RunIdentity("rivals", "weather", "11111111-0000-0000-0000-000000000000")


def pod(run: RunIdentity, component: str) -> Peer:
    """Return a pod of a run, with the labels that it has in a cluster."""
    return Peer(run.namespace, {**run.labels, "dask.org/component": component})


OPERATOR = Peer(SYSTEM, {"app.kubernetes.io/name": "flowkiln-operator"})
DASK_KUBERNETES = Peer(SYSTEM, {"app.kubernetes.io/name": "dask-kubernetes"})
PROMETHEUS = Peer("monitoring", {"app": "prometheus"})
STRANGER = Peer("team", {"app": "shop"})
IMPOSTOR = Peer("rivals", {RUN_LABEL: MINE.base})
DNS = Peer("kube-system", {"k8s-app": "kube-dns"})
WORLD = Peer("")
SCHEDULER, WORKER = pod(MINE, "scheduler"), pod(MINE, "worker")


@pytest.fixture(scope="module")
def policies() -> list[Policy]:
    """Return the policies of the manifests, and those of three runs."""
    files = sorted(MANIFESTS.glob("**/network-policy.yaml"))
    assert len(files) == 2
    return [*(yaml.safe_load(file.read_text()) for file in files), *map(network_policy, (MINE, OTHER, ABROAD))]


CONNECTIONS: dict[str, tuple[Peer, Peer, int, bool]] = {
    "a worker reaches its scheduler": (WORKER, SCHEDULER, 8786, True),
    "a scheduler reaches its workers": (SCHEDULER, WORKER, 40_000, True),
    "workers reach each other": (WORKER, WORKER, 40_000, True),
    "a worker of another run does not reach the scheduler": (pod(OTHER, "worker"), SCHEDULER, 8786, False),
    "a worker of another namespace does not, even with the same label": (pod(ABROAD, "worker"), SCHEDULER, 8786, False),
    "a pod elsewhere that bears the run's label does not": (IMPOSTOR, SCHEDULER, 8786, False),
    "other pods of the namespace do not": (STRANGER, SCHEDULER, 8786, False),
    "nobody reaches the scheduler's HTTP port": (STRANGER, SCHEDULER, 8787, False),
    "nobody reaches the agent's health check": (STRANGER, SCHEDULER, 8790, False),
    "nobody reaches a worker": (pod(OTHER, "worker"), WORKER, 40_000, False),
    "nobody from outside reaches a run": (WORLD, SCHEDULER, 8786, False),
    "the operator does not reach a scheduler": (OPERATOR, SCHEDULER, 8786, False),
    "the operator does not even reach a port that an API server has": (OPERATOR, SCHEDULER, 443, False),
    "dask-kubernetes does not reach a scheduler": (DASK_KUBERNETES, SCHEDULER, 8786, False),
    "dask-kubernetes does not reach a scheduler's HTTP port": (DASK_KUBERNETES, SCHEDULER, 8787, False),
    "dask-kubernetes does not reach pods that no policy guards": (DASK_KUBERNETES, STRANGER, 8080, False),
    "dask-kubernetes reaches the API server": (DASK_KUBERNETES, WORLD, 6443, True),
    "the operator reaches the API server": (OPERATOR, WORLD, 443, True),
    "the operator reaches nothing else outside": (OPERATOR, WORLD, 80, False),
    "flows reach the world": (WORKER, WORLD, 443, True),
    "the agent reaches the API server": (SCHEDULER, WORLD, 6443, True),
    "Prometheus reads the operator's metrics": (PROMETHEUS, OPERATOR, 8080, True),
    "a run reaches no other port of the operator": (WORKER, OPERATOR, 9000, False),
    "a run does not reach dask-kubernetes": (WORKER, DASK_KUBERNETES, 8080, False),
}


@pytest.mark.parametrize("sentence", CONNECTIONS)
def test_who_may_connect_to_whom(policies: list[Policy], sentence: str) -> None:
    """Each sentence of the table holds by the policies as they are rendered."""
    source, target, port, expected = CONNECTIONS[sentence]
    assert may_connect(policies, source, target, port) is expected


@pytest.mark.parametrize("source", [OPERATOR, DASK_KUBERNETES, WORKER], ids=["operator", "dask-kubernetes", "worker"])
def test_everybody_may_ask_for_names(policies: list[Policy], source: Peer) -> None:
    """DNS goes over both protocols."""
    for protocol in ("UDP", "TCP"):
        assert may_connect(policies, source, DNS, 53, protocol)


def test_without_policies_everything_is_allowed() -> None:
    """The evaluator's default is that of Kubernetes, so that a table of refusals proves something."""
    assert may_connect([], STRANGER, SCHEDULER, 8786)


def test_the_evaluator_does_not_guess() -> None:
    """A policy that it cannot read makes the test fail, not pass."""
    strange = {
        **network_policy(MINE),
        "spec": {**network_policy(MINE)["spec"], "podSelector": {"matchExpressions": []}},
    }
    with pytest.raises(NotImplementedError):
        may_connect([strange], STRANGER, SCHEDULER, 8786)
