"""A small evaluator of NetworkPolicies, by the rules of the Kubernetes API: selectors, ports, and the default to allow.

It knows what our policies use, and refuses what it does not know rather than guess.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

Policy = Mapping[str, Any]


@dataclass(frozen=True)
class Peer:
    """Somebody on the network: a pod of a namespace, or with no namespace a host outside of the cluster."""

    namespace: str
    labels: Mapping[str, str] = field(default_factory=dict)


def may_connect(policies: Iterable[Policy], source: Peer, target: Peer, port: int, protocol: str = "TCP") -> bool:
    """Tell whether a connection is allowed: the egress side of its source and the ingress side of its target agree."""
    known = list(policies)
    egress = _side_allows(known, "Egress", source, target, port, protocol)
    return egress and _side_allows(known, "Ingress", target, source, port, protocol)


def _side_allows(policies: list[Policy], direction: str, pod: Peer, other: Peer, port: int, protocol: str) -> bool:
    key, peers = ("egress", "to") if direction == "Egress" else ("ingress", "from")
    applying = [policy for policy in policies if _applies(policy, direction, pod)]
    if not applying:
        return True
    return any(
        _peer_matches(rule.get(peers), other, policy["metadata"]["namespace"]) and _port_matches(rule, port, protocol)
        for policy in applying
        for rule in policy["spec"].get(key, ())
    )


def _applies(policy: Policy, direction: str, pod: Peer) -> bool:
    here = bool(pod.namespace) and policy["metadata"]["namespace"] == pod.namespace
    return here and direction in policy["spec"]["policyTypes"] and _selects(policy["spec"]["podSelector"], pod.labels)


def _peer_matches(peers: list[Mapping[str, Any]] | None, other: Peer, namespace: str) -> bool:
    if not peers:
        return True
    for peer in peers:
        if set(peer) != {"podSelector"}:
            raise NotImplementedError(f"a peer with {sorted(peer)}")
    return other.namespace == namespace and any(_selects(peer["podSelector"], other.labels) for peer in peers)


def _port_matches(rule: Mapping[str, Any], port: int, protocol: str) -> bool:
    ports = rule.get("ports")
    return not ports or any((one["port"], one.get("protocol", "TCP")) == (port, protocol) for one in ports)


def _selects(selector: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    if set(selector) - {"matchLabels"}:
        raise NotImplementedError(f"a selector with {sorted(selector)}")
    return all(labels.get(key) == value for key, value in selector.get("matchLabels", {}).items())
