"""What the benchmarks read in an audit log."""

from __future__ import annotations

from typing import Any

from benchmarks.cluster.audit import OPERATOR_USER, by_namespace, reads, writes
from benchmarks.cluster.large import max_within

AGENT = "system:serviceaccount:room:flowrun-run-abc123"


def event(second: int, user: str, verb: str = "patch", *, code: int = 200, namespace: str = "room") -> dict[str, Any]:
    """Return a line of an audit log; it takes half a second."""
    return {
        "verb": verb,
        "user": {"username": user},
        "objectRef": {"resource": "flowruns", "subresource": "status", "namespace": namespace},
        "responseStatus": {"code": code},
        "requestReceivedTimestamp": f"2026-01-01T00:00:{second:02}.250000Z",
        "stageTimestamp": f"2026-01-01T00:00:{second:02}.750000Z",
    }


def test_requests_are_told_apart_by_who_sent_them() -> None:
    """Operator and agent have names of their own; the agent of another namespace is not this one's."""
    found = by_namespace([event(1, OPERATOR_USER), event(2, AGENT), event(3, "system:node:n")], ["room"])["room"]
    assert [request.who for request in found] == ["operator", "agent", "system:node:n"]
    assert [request.is_ours for request in found] == [True, True, False]
    (foreign,) = by_namespace([event(1, AGENT, namespace="hall")], ["hall"])["hall"]
    assert not foreign.is_ours


def test_requests_come_in_the_order_in_which_they_began() -> None:
    """The log is written when requests end; times are seconds, with fractions, and the subresource is named."""
    first, second = by_namespace([event(2, AGENT), event(1, AGENT)], ["room"])["room"]
    assert (second.began - first.began, first.ended - first.began) == (1.0, 0.5)
    assert first.resource == "flowruns/status"


def test_what_is_refused_or_elsewhere_or_has_no_namespace_is_left_out() -> None:
    """A conflict writes nothing; and lines about the whole cluster name no object in a namespace."""
    elsewhere = event(3, AGENT, namespace="hall")
    nowhere = {**event(4, AGENT), "objectRef": {"resource": "nodes"}}
    bare = {key: value for key, value in event(5, AGENT).items() if key != "objectRef"}
    assert by_namespace([event(1, AGENT, code=409), elsewhere, nowhere, bare], ["room"]) == {}


def test_writes_are_those_of_the_time_that_is_asked_for() -> None:
    """Reading is no write, and what prepared the namespace or took it away is not the run's."""
    log = [event(second, AGENT) for second in range(5)] + [event(2, AGENT, "get"), event(2, AGENT, "watch")]
    requests = by_namespace(log, ["room"])["room"]
    since, until = requests[1].began, requests[-1].began - 0.5
    assert [request.verb for request in writes(requests, since, until)] == ["patch"] * 3


def test_reads_are_what_the_operator_asks_for_whether_it_is_there_or_not() -> None:
    """Others may read as they like, and a watch is none."""
    log = [event(1, OPERATOR_USER, "get"), event(2, OPERATOR_USER, "get", code=404), event(3, OPERATOR_USER, "list")]
    log += [event(1, AGENT, "get"), event(2, OPERATOR_USER, "watch"), event(2, OPERATOR_USER, "patch")]
    requests = by_namespace(log, ["room"])["room"]
    assert [request.verb for request in reads(requests, requests[0].began, requests[-1].began)] == [
        "get",
        "get",
        "list",
    ]
    assert reads(requests, requests[-1].ended, requests[-1].ended) == []


def test_the_most_moments_within_a_span_are_counted() -> None:
    """The span may begin anywhere; its end belongs to it; without moments there are none."""
    assert max_within(1.0, [0.0, 0.9, 1.8, 1.9, 2.7, 5.0]) == 3
    assert max_within(1.0, [0.0, 1.0]) == 2
    assert max_within(1.0, []) == 0
