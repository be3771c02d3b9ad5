"""The API server of a kind cluster goes away for a while and comes back: sharply, and with all that works through it.

It is a static pod: the kubelet runs it as long as its manifest is in a folder. With the manifest alone taken away, the
API server would go on serving its watches for as long as the pod's grace period allows, so that its container is killed
too. The controller manager and the scheduler end when they cannot renew their leases, and come back some time after it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from .commands import wait_until

MANIFEST = "/etc/kubernetes/manifests/kube-apiserver.yaml"
PARKED_MANIFEST = "/etc/kubernetes/kube-apiserver.yaml"
NAME = "kube-apiserver"
KILL = f"crictl ps --quiet --name={NAME} | xargs --no-run-if-empty crictl stop --timeout=0"
LISTED = f"crictl ps --quiet --name={NAME} && crictl pods --quiet --state=ready --name={NAME}"
LEASES = ("kube-controller-manager", "kube-scheduler")

OnNode = Callable[..., str]
"""Runs a command on the node and returns what it printed; `check=False` lets it fail."""
Kubectl = Callable[..., str]
"""Runs kubectl and returns what it printed; `check=False` lets it fail."""


@contextmanager
def api_server_down(on_node: OnNode, kubectl: Kubectl) -> Iterator[None]:
    """Kill the API server and keep it down for a `with` block; wait at the end until the control plane works again."""

    def gone() -> bool:
        on_node("sh", "-c", KILL, check=False)  # one of them may have ended in between
        return on_node("sh", "-c", LISTED).strip() == ""

    def answers() -> bool:
        return kubectl("get", "--raw=/readyz", "--request-timeout=5s", check=False) == "ok"

    on_node("mv", MANIFEST, PARKED_MANIFEST)
    try:
        wait_until("the API server's pod ends", gone, seconds=60)
        yield
    finally:
        on_node("mv", PARKED_MANIFEST, MANIFEST)
        wait_until("the API server is ready", answers, seconds=180)
        _wait_for_renewals(kubectl)


def _wait_for_renewals(kubectl: Kubectl) -> None:
    """Wait until every component that leads by a lease has renewed it: each has then come back, and works."""
    before = _renewals(kubectl)

    def renewed() -> bool:
        now = _renewals(kubectl)
        return all(now.get(name) != at for name, at in before.items())

    wait_until(f"{' and '.join(LEASES)} work again", renewed, seconds=180)


def _renewals(kubectl: Kubectl) -> Mapping[str, str]:
    """Return when each lease was renewed last. A control plane that elects no leader has none."""
    listed = json.loads(kubectl("get", "leases", "--namespace=kube-system", "--output=json"))["items"]
    return {
        lease["metadata"]["name"]: lease["spec"]["renewTime"] for lease in listed if lease["metadata"]["name"] in LEASES
    }
