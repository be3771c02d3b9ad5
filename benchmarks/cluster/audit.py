"""What the API server's audit log tells of a run: who wrote and read what, and when."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Any

from tests.cluster.flowkiln.installation import OPERATOR, SYSTEM_NAMESPACE

WRITES = ("create", "update", "patch", "delete", "deletecollection")
GET = "get"
LIST = "list"
OPERATOR_USER = f"system:serviceaccount:{SYSTEM_NAMESPACE}:{OPERATOR}"
AGENT = "agent"
CONTROLLER = "operator"


@dataclass(frozen=True)
class Request:
    """One request; times in seconds since the epoch."""

    who: str  # `operator`, `agent`, or the user's name
    verb: str
    resource: str  # with its subresource, as in pods/status
    began: float
    ended: float

    @property
    def is_write(self) -> bool:
        """Return whether it changes anything."""
        return self.verb in WRITES

    @property
    def is_read_of_operator(self) -> bool:
        """Return whether the operator asks for something. Its watches are of no namespace, and so of no run."""
        return self.who == CONTROLLER and self.verb in (GET, LIST)

    @property
    def is_ours(self) -> bool:
        """Return whether it is the operator's or an agent's."""
        return self.who in (CONTROLLER, AGENT)


def by_namespace(events: Iterable[Mapping[str, Any]], namespaces: Iterable[str]) -> dict[str, list[Request]]:
    """Return the requests about objects in these namespaces, oldest first, without writes that were refused."""
    wanted = set(namespaces)
    found: dict[str, list[Request]] = defaultdict(list)
    for event in events:
        where = event.get("objectRef", {})
        namespace = where.get("namespace", "")
        if namespace not in wanted:
            continue
        request = Request(
            _who(event["user"].get("username", ""), namespace),
            event["verb"],
            "/".join(filter(None, (where["resource"], where.get("subresource")))),
            _seconds(event["requestReceivedTimestamp"]),
            _seconds(event["stageTimestamp"]),
        )
        # Asking for what is not there costs as much as any other read.
        if event["responseStatus"]["code"] < HTTPStatus.BAD_REQUEST or request.is_read_of_operator:
            found[namespace].append(request)
    return {namespace: sorted(requests, key=lambda request: request.began) for namespace, requests in found.items()}


def writes(requests: Iterable[Request], since: float, until: float) -> list[Request]:
    """Return the writes that came in this time, and so not those that prepared the namespace or take it away."""
    return [request for request in requests if request.is_write and since <= request.began <= until]


def reads(requests: Iterable[Request], since: float, until: float) -> list[Request]:
    """Return what the operator asked for in this time."""
    return [request for request in requests if request.is_read_of_operator and since <= request.began <= until]


def _who(user: str, namespace: str) -> str:
    if user == OPERATOR_USER:
        return CONTROLLER
    return AGENT if user.startswith(f"system:serviceaccount:{namespace}:flowrun-") else user


def _seconds(time: str) -> float:
    return datetime.fromisoformat(time).timestamp()
