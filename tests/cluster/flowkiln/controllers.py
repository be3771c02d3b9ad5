"""The two controllers of an installation, taken away and brought back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tests.cluster.harness.api import api
from tests.cluster.harness.commands import wait_until

from .installation import SYSTEM_NAMESPACE, Installation


@contextmanager
def without(installation: Installation, deployment: str) -> Iterator[None]:
    """Have no pod of a controller for the length of a `with` block."""
    scale = ("scale", f"deployment/{deployment}", f"--namespace={SYSTEM_NAMESPACE}")
    installation.cluster.kubectl(*scale, "--replicas=0")
    try:
        wait_until(f"{deployment} is down", lambda: not pods_of(installation, deployment), seconds=60)
        yield
    finally:
        installation.cluster.kubectl(*scale, "--replicas=1")
        installation.wait_until_ready()


def kill(installation: Installation, deployment: str) -> None:
    """Kill the pod of a controller without warning, and wait for the next one."""
    (before,) = pods_of(installation, deployment)
    installation.cluster.kubectl(
        *("delete", before, f"--namespace={SYSTEM_NAMESPACE}", "--grace-period=0", "--force", "--wait=true")
    )
    wait_until(f"{deployment} has another pod", lambda: pods_of(installation, deployment) != [before], seconds=60)
    installation.wait_until_ready()


def pods_of(installation: Installation, deployment: str) -> list[str]:
    """Return the pods of a controller, as pod/name."""
    selector = f"app.kubernetes.io/name={deployment}"
    found = api(installation.cluster.kubeconfig).list("pods", SYSTEM_NAMESPACE, selector=selector)
    return [f"pod/{pod['metadata']['name']}" for pod in found]
