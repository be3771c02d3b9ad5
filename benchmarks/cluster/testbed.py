"""The cluster that is measured on, and a fresh namespace in it for each run."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from tests.cluster.conftest import RESTRICTED
from tests.cluster.flowkiln.installation import Installation, install
from tests.cluster.harness import choose
from tests.cluster.harness.commands import announced, wait_until
from tests.cluster.harness.interface import Cluster

from benchmarks.cluster.api import Api


@dataclass(frozen=True)
class Testbed:
    """A cluster with Flowkiln on it."""

    installation: Installation
    api: Api
    _namespaces: list[str] = field(default_factory=list)

    @property
    def cluster(self) -> Cluster:
        """Return the cluster."""
        return self.installation.cluster

    @property
    def image(self) -> str:
        """What scheduler, agent and workers of both sides run."""
        return self.installation.images.runtime

    def namespace(self) -> str:
        """Make a namespace that stays until the end: so finished runs stay, and each has audit events of its own."""
        name = f"bench-{uuid.uuid4().hex[:10]}"
        manifest = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": RESTRICTED}}
        self.cluster.kubectl("create", "--filename=-", input=json.dumps(manifest))
        self._namespaces.append(name)
        wanted = ("serviceaccount/default", "configmap/kube-root-ca.crt")
        arguments = ("get", *wanted, f"--namespace={name}", "--ignore-not-found", "--output=name")
        wait_until(
            "the namespace has what every one gets",
            lambda: len(self.cluster.kubectl(*arguments).split()) == len(wanted),
            seconds=60,
        )
        return name

    def forget(self) -> None:
        """Delete the namespaces made so far, with all that is in them, and wait until they are gone."""
        if self._namespaces:
            self.cluster.kubectl("delete", "namespace", *self._namespaces, "--timeout=300s")
            self._namespaces.clear()


@contextmanager
def open_testbed(reuse: str) -> Iterator[Testbed]:
    """Bring a cluster up with Flowkiln on it, and take it down again; `reuse` names one that runs, and is kept."""
    cluster = choose.cluster(reuse or f"bench-{uuid.uuid4().hex[:6]}", owned=True)
    if reuse:
        cluster.kubectl("get", "--raw=/readyz")
    else:
        cluster.prepare()
        cluster.start()
    try:
        images = cluster.images()
        with announced("installing Flowkiln"):
            installation = install(cluster, images)
        made = Testbed(installation, Api(cluster.kubeconfig))
        try:
            yield made
        finally:
            if reuse:
                made.forget()
    finally:
        if not reuse:
            cluster.stop()
