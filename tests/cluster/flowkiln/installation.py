"""Flowkiln on a test cluster: installed as an administrator does it, and in force before the first test begins."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.cluster.harness.commands import CommandError, wait_until
from tests.cluster.harness.interface import Cluster, Images
from tests.cluster.harness.places import CHECKOUT

SYSTEM_NAMESPACE = "flowkiln-system"
OPERATOR = "flowkiln-operator"
DASK_KUBERNETES = "dask-kubernetes"
PROBE_NAMESPACE = "flowkiln-probe"
OVERLAY = CHECKOUT / "manifests" / "overlays" / "test"
NEVER = "2999-01-01T00:00:00Z"


@dataclass(frozen=True)
class Installation:
    """Flowkiln, installed on a cluster."""

    cluster: Cluster
    images: Images

    def operator_log(self) -> str:
        """Return what the operator that runs now has logged."""
        return self.cluster.kubectl("logs", f"deployment/{OPERATOR}", f"--namespace={SYSTEM_NAMESPACE}")

    def pod_of(self, deployment: str) -> str:
        """Return the name of the one pod of a Deployment in the system namespace."""
        return self.cluster.kubectl(
            *("get", "pods", f"--namespace={SYSTEM_NAMESPACE}", f"--selector=app.kubernetes.io/name={deployment}"),
            *("--field-selector=status.phase=Running", "--output=jsonpath={.items[0].metadata.name}"),
        )

    def wait_until_ready(self) -> None:
        """Wait for our operator and for dask-kubernetes' controller."""
        for deployment in (OPERATOR, DASK_KUBERNETES):
            self.cluster.kubectl(
                *("rollout", "status", f"deployment/{deployment}", f"--namespace={SYSTEM_NAMESPACE}", "--timeout=180s")
            )


def install(cluster: Cluster, images: Images, settings: Mapping[str, str] | None = None) -> Installation:
    """Run `kubectl apply -k` on the overlay for tests, and wait until everything that it installs is in force.

    `settings` are further environment variables of the operator.
    """
    with tempfile.TemporaryDirectory(prefix="flowkiln-install-") as folder:
        place = Path(folder).resolve()
        (place / "kustomization.yaml").write_text(json.dumps(kustomization(place, images, settings or {})))
        cluster.kubectl("apply", "--server-side", "--force-conflicts", "-k", str(place))
    installation = Installation(cluster, images)
    installation.wait_until_ready()
    _wait_for_admission(cluster)
    return installation


def kustomization(place: Path, images: Images, settings: Mapping[str, str]) -> dict[str, Any]:
    """Return an overlay, to be written into the folder `place`, that names the images and settings under test."""
    name, _, tag = images.operator.rpartition(":")
    literals = {"FLOWKILN_RUNTIME_IMAGE": images.runtime, **settings}
    return {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": [os.path.relpath(OVERLAY, place)],
        "images": [{"name": "operator-under-test", "newName": name, "newTag": tag}],
        "configMapGenerator": [
            {
                "name": OPERATOR,
                "namespace": SYSTEM_NAMESPACE,
                "behavior": "merge",
                "literals": [f"{variable}={value}" for variable, value in literals.items()],
            }
        ],
    }


def _wait_for_admission(cluster: Cluster) -> None:
    """Ask for what the admission policies refuse, until they do: it takes some seconds after they were created."""
    scheduled = {
        "apiVersion": "flowkiln.dev/v1alpha1",
        "kind": "FlowRun",
        "metadata": {"name": "probe", "namespace": PROBE_NAMESPACE},
        "spec": {"flowRef": {"name": "probe"}, "startTime": NEVER},
    }
    inline = {
        **scheduled,
        "metadata": {"name": "inline", "namespace": PROBE_NAMESPACE},
        "spec": {"flowSpec": {"tasks": [{"name": "probe", "function": "probe:probe"}]}, "startTime": NEVER},
    }
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": PROBE_NAMESPACE}}
    role = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "Role",
        "metadata": {"name": "probe", "namespace": PROBE_NAMESPACE},
        "rules": [{"apiGroups": ["flowkiln.dev"], "resources": ["flowruns"], "verbs": ["create"]}],
    }
    binding = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "RoleBinding",
        "metadata": {"name": "probe", "namespace": PROBE_NAMESPACE},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "probe"},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "flowkiln-probe"}],
    }
    for manifest in (namespace, role, binding, scheduled):
        cluster.kubectl("apply", "--filename=-", input=json.dumps(manifest))

    def status_is_guarded() -> bool:
        return _refused(
            cluster,
            *("patch", "flowruns.flowkiln.dev", "probe", f"--namespace={PROBE_NAMESPACE}", "--subresource=status"),
            *("--type=merge", '--patch={"status": {"observedGeneration": 99}}', "--dry-run=server"),
            *("--as=system:serviceaccount:probe:flowrun-probe", "--as-group=system:masters"),
            because="belongs to the operator",
        )

    def inline_flows_are_guarded() -> bool:
        return _refused(
            cluster,
            *("create", "--filename=-", "--dry-run=server", "--as=flowkiln-probe"),
            because="needs the right to create flows",
            input=json.dumps(inline),
        )

    wait_until("the admission policy of runs' status is in force", status_is_guarded, seconds=60)
    wait_until("the admission policy of inline flows is in force", inline_flows_are_guarded, seconds=60)
    cluster.kubectl("delete", "namespace", PROBE_NAMESPACE, "--wait=false")


def _refused(cluster: Cluster, *arguments: str, because: str, input: str | None = None) -> bool:
    try:
        cluster.kubectl(*arguments, input=input)
    except CommandError as error:
        if because in error.output:
            return True
        raise
    return False
