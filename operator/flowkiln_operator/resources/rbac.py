"""The identity of a run's pods and its minimal rights: read its own FlowRun and patch its status."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from flowkiln.api import GROUP
from flowkiln.api.names import FLOW_RUNS

from .run import RBAC_GROUP, Manifest, RunIdentity


def service_account(
    run: RunIdentity, *, annotations: Mapping[str, str] | None = None, pull_secrets: Sequence[str] = ()
) -> Manifest:
    """Return the run's ServiceAccount. `annotations` are the user's, for cloud identity. Its token is never mounted."""
    made: Manifest = {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": run.metadata(run.service_account, annotations=annotations),
        "automountServiceAccountToken": False,
    }
    if pull_secrets:
        made["imagePullSecrets"] = [{"name": name} for name in pull_secrets]
    return made


def role(run: RunIdentity) -> Manifest:
    """Return the Role of the run's agent. The admission policy restricts the status fields that it may write."""
    return {
        "apiVersion": f"{RBAC_GROUP}/v1",
        "kind": "Role",
        "metadata": run.metadata(run.service_account),
        "rules": [
            {
                "apiGroups": [GROUP],
                "resources": [FLOW_RUNS],
                "resourceNames": [run.name],
                "verbs": ["get", "watch"],
            },
            {
                "apiGroups": [GROUP],
                "resources": [f"{FLOW_RUNS}/status"],
                "resourceNames": [run.name],
                "verbs": ["patch"],
            },
        ],
    }


def role_binding(run: RunIdentity) -> Manifest:
    """Return the binding of the run's Role to its ServiceAccount."""
    return {
        "apiVersion": f"{RBAC_GROUP}/v1",
        "kind": "RoleBinding",
        "metadata": run.metadata(run.service_account),
        "roleRef": {"apiGroup": RBAC_GROUP, "kind": "Role", "name": run.service_account},
        "subjects": [{"kind": "ServiceAccount", "name": run.service_account, "namespace": run.namespace}],
    }
