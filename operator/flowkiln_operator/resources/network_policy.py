"""The NetworkPolicy of a run: only its own pods may connect to each other."""

from __future__ import annotations

from flowkiln.api.names import RUN_LABEL

from .run import Manifest, RunIdentity


def network_policy(run: RunIdentity) -> Manifest:
    """Return the policy that lets only the run's own pods reach the run's pods. Probes by the kubelet are exempt.

    Egress is unrestricted: flows read and write data wherever their authors want.
    """
    own_pods = {"matchLabels": {RUN_LABEL: run.base}}
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": run.metadata(run.base),
        "spec": {
            "podSelector": own_pods,
            "policyTypes": ["Ingress"],
            "ingress": [{"from": [{"podSelector": own_pods}]}],
        },
    }
