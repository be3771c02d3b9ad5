"""A real HTTP server that answers as the Kubernetes API does for one FlowRun: get, watch, apply of the status.

It knows what an agent can tell apart: resource versions and conflicts, the whole-document semantics of an apply by one
manager, metadata-only answers, a token that has to fit, and errors that a test orders.
"""

from __future__ import annotations

import asyncio
import copy
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from tornado.httpserver import HTTPServer
from tornado.iostream import StreamClosedError
from tornado.testing import bind_unused_port
from tornado.web import Application, RequestHandler

NAMESPACE, NAME, UID = "default", "weather-2015", "8a7b9c1d-0000-4000-8000-000000000001"


@dataclass
class Problem:
    """An answer that the server gives instead of doing what it is asked."""

    code: int
    message: str = "ordered by the test"
    headers: dict[str, str] = field(default_factory=dict)
    details: dict[str, str] = field(default_factory=dict)


@dataclass
class Request:
    """What a client asked for."""

    method: str
    path: str
    headers: dict[str, str]
    body: dict[str, Any] | None = None
    problem: int | None = None


class ApiServer:
    """One FlowRun, its history and its watchers."""

    def __init__(self) -> None:
        self.token = "first-token"
        self.version = 100
        self.flow_run: dict[str, Any] | None = {
            "apiVersion": "flowkiln.dev/v1alpha1",
            "kind": "FlowRun",
            "metadata": {"namespace": NAMESPACE, "name": NAME, "uid": UID, "resourceVersion": "100", "generation": 1},
            "spec": {"flowRef": {"name": "weather"}},
            "status": {"state": "Pending", "cluster": {"name": "weather-c1", "number": 1}},
        }
        self.requests: list[Request] = []
        self.problems: dict[str, list[Problem]] = {"GET": [], "PATCH": []}
        """Ordered by method; each is used once."""
        self.standing: dict[str, Problem] = {}
        """By method; given until it is taken away."""
        self.changed = asyncio.Condition()
        self.url = ""
        self.port = 0
        self.watched = asyncio.Event()
        """Somebody has a watch open."""
        self._events: list[tuple[int, str, dict[str, Any]]] = []

    @property
    def status(self) -> dict[str, Any]:
        """The FlowRun's status."""
        assert self.flow_run is not None
        return self.flow_run.setdefault("status", {})

    @property
    def metadata(self) -> dict[str, Any]:
        """The FlowRun's metadata."""
        assert self.flow_run is not None
        return self.flow_run["metadata"]

    @property
    def writes(self) -> list[dict[str, Any]]:
        """The statuses that were applied, oldest first."""
        return [
            request.body["status"]
            for request in self.requests
            if request.method == "PATCH" and request.problem is None and request.body is not None
        ]

    async def edit(self, **status: Any) -> None:
        """Write parts of the status as the operator, or another agent, would."""
        self.status.update(copy.deepcopy(status))
        await self._announce("MODIFIED")

    async def delete(self) -> None:
        """Delete the FlowRun at once."""
        await self._announce("DELETED")
        self.flow_run = None

    async def mark_deleted(self) -> None:
        """Delete it in the foreground: it stays until its children are gone."""
        assert self.flow_run is not None
        self.flow_run["metadata"]["deletionTimestamp"] = "2026-01-01T12:00:00Z"
        await self._announce("MODIFIED")

    async def replace(self, uid: str) -> None:
        """Delete it, and create another one of the same name."""
        await self._announce("DELETED")
        assert self.flow_run is not None
        self.flow_run["metadata"]["uid"] = uid
        self.flow_run["status"] = {}
        await self._announce("ADDED")

    def apply(self, status: dict[str, Any]) -> None:
        """What an apply does to the fields that agents own: those it names are set, those it does not are dropped."""
        for owned in ("flow", "tasks"):
            self.status.pop(owned, None)
            if owned in status:
                self.status[owned] = status[owned]

    async def _announce(self, kind: str) -> None:
        assert self.flow_run is not None
        self.version += 1
        self.flow_run["metadata"]["resourceVersion"] = str(self.version)
        self._events.append((self.version, kind, copy.deepcopy(self.flow_run["metadata"])))
        async with self.changed:
            self.changed.notify_all()

    def events_after(self, version: int) -> list[tuple[int, str, dict[str, Any]]]:
        """What a watch from this version sees."""
        return [event for event in self._events if event[0] > version]


@asynccontextmanager
async def running_api_server(tls: ssl.SSLContext | None = None) -> AsyncIterator[ApiServer]:
    """A server on a free port of the loopback interface."""
    server = ApiServer()
    application = Application(
        [
            (
                r"/apis/flowkiln.dev/v1alpha1/namespaces/default/flowruns(?:/([^/]+)(/status)?)?",
                _Handler,
                {"api": server},
            )
        ],
        log_function=lambda handler: None,
    )
    socket, port = bind_unused_port()
    http = HTTPServer(application, ssl_options=tls)
    http.add_socket(socket)
    server.url = f"{'https' if tls else 'http'}://127.0.0.1:{port}"
    server.port = port
    try:
        yield server
    finally:
        http.stop()
        async with server.changed:
            server.flow_run = None
            server.changed.notify_all()
        await http.close_all_connections()


class _Handler(RequestHandler):
    def initialize(self, api: ApiServer) -> None:
        self.api = api

    async def get(self, name: str | None, _status: str | None) -> None:
        if self._refused():
            return
        if name is None:
            with suppress(StreamClosedError):
                await self._watch()
        else:
            assert self.api.flow_run is not None
            self._give(self.api.flow_run)

    async def patch(self, _name: str, status: str | None) -> None:
        if self._refused():
            return
        assert status == "/status", "agents have no rights on the FlowRun itself"
        assert self.get_argument("fieldManager") == "flowkiln-agent"
        assert self.get_argument("force") == "true"
        assert self.request.headers["Content-Type"] == "application/apply-patch+yaml"
        assert self.api.flow_run is not None
        body = self.api.requests[-1].body
        assert body is not None
        asked = body["metadata"].get("resourceVersion")
        if asked is not None and asked != self.api.flow_run["metadata"]["resourceVersion"]:
            self._refuse(Problem(409, "the object has been modified"))
            return
        self.api.apply(body["status"])
        await self.api._announce("MODIFIED")
        self._give(self.api.flow_run)

    async def _watch(self) -> None:
        api = self.api
        assert self.get_argument("watch") == "true"
        assert self.get_argument("fieldSelector") == f"metadata.name={NAME}"
        seen = int(self.get_argument("resourceVersion"))
        self.set_header("Content-Type", "application/json")
        await self.flush()
        api.watched.set()
        while True:
            for version, kind, metadata in api.events_after(seen):
                seen = version
                self.write(json.dumps({"type": kind, "object": {"metadata": metadata}}) + "\n")
            await self.flush()
            async with api.changed:
                if api.flow_run is None and not api.events_after(seen):
                    return
                if not api.events_after(seen):
                    await api.changed.wait()

    def _refused(self) -> bool:
        api, method = self.api, str(self.request.method)
        asked = Request(method, self.request.path, dict(self.request.headers))
        asked.body = json.loads(self.request.body) if self.request.body else None
        api.requests.append(asked)
        problem = api.problems[method].pop(0) if api.problems[method] else api.standing.get(method)
        if problem is None and self.request.headers.get("Authorization") != f"Bearer {api.token}":
            problem = Problem(401, "Unauthorized")
        if problem is None and api.flow_run is None:
            problem = Problem(404, f'flowruns.flowkiln.dev "{NAME}" not found', details={"name": NAME})
        if problem is not None:
            self._refuse(problem)
        return problem is not None

    def _refuse(self, problem: Problem) -> None:
        self.api.requests[-1].problem = problem.code
        self.set_status(problem.code)
        for name, value in problem.headers.items():
            self.set_header(name, value)
        self.write({"kind": "Status", "code": problem.code, "message": problem.message, "details": problem.details})

    def _give(self, flow_run: dict[str, Any]) -> None:
        metadata_only = "as=PartialObjectMetadata" in self.request.headers["Accept"]
        self.write({"metadata": flow_run["metadata"]} if metadata_only else flow_run)
