"""A real HTTP server that answers as the Kubernetes API does: objects with versions, lists in pages, watches.

It knows what a client can tell apart: resource versions and conflicts, a history that begins somewhere, connections
that break.
"""

from __future__ import annotations

import asyncio
import copy
import itertools
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from aiohttp import web
from kubernetes.aio import client

from flowkiln_operator.controller.api import KubernetesApi

Object = dict[str, Any]
OF_AGENTS = ("flow", "tasks")
GROUPS = {
    "v1": [("pods", "Pod"), ("namespaces", "Namespace")],
    "flowkiln.dev/v1alpha1": [("flowruns", "FlowRun"), ("flows", "Flow")],
    "kubernetes.dask.org/v1": [("daskclusters", "DaskCluster")],
    "apps/v1": [("deployments", "Deployment")],
    "apiextensions.k8s.io/v1": [("customresourcedefinitions", "CustomResourceDefinition")],
}
"""What the server says that it has; kopf asks."""


@dataclass(frozen=True)
class Request:
    """What a client asked for; `verb` as the audit log has it: get, list, watch, create, patch or delete."""

    verb: str
    resource: str
    namespace: str
    name: str


class Refusal(Exception):
    """An answer that is none of the 200s."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code, self.message = code, message


@dataclass
class ApiServer:
    """All objects, what has happened to them, and what was asked."""

    objects: dict[tuple[str, str, str], Object] = field(default_factory=dict)
    requests: list[Request] = field(default_factory=list)
    failures: int = 0
    """Number of lists that fail from now on."""
    surprises: list[Callable[[], object]] = field(default_factory=list)
    """What happens just before a status is written, one for each time."""
    host: str = ""
    version: int = 100
    _history: list[tuple[int, str, str, Object]] = field(default_factory=list)
    _oldest: int = 0
    _changed: asyncio.Event = field(default_factory=asyncio.Event)
    _transports: set[asyncio.Transport] = field(default_factory=set)
    _down: bool = False
    _uids: itertools.count[int] = field(default_factory=itertools.count)

    def put(self, resource: str, document: Mapping[str, Any]) -> Object:
        """Create or replace an object, as somebody else than the client would."""
        metadata = dict(document["metadata"])
        namespace = metadata.get("namespace", "")
        if namespace and ("namespaces", "", namespace) not in self.objects:
            self.put("namespaces", {"kind": "Namespace", "metadata": {"name": namespace}})
        key = (resource, namespace, metadata["name"])
        before = self.objects.get(key)
        metadata.setdefault("uid", before["metadata"]["uid"] if before else f"{next(self._uids):08x}")
        metadata.setdefault("creationTimestamp", f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}")
        if resource == "flowruns":
            metadata.setdefault("generation", 1)
        made = {**copy.deepcopy(dict(document)), "metadata": metadata}
        self._announce("MODIFIED" if before else "ADDED", resource, made)
        self.objects[key] = made
        return made

    def edit(self, resource: str, namespace: str, name: str, **fields: Any) -> Object:
        """Change fields at the top of an object."""
        return self.put(resource, {**self.objects[resource, namespace, name], **fields})

    def remove(self, resource: str, namespace: str, name: str) -> None:
        """Delete an object at once, and what it owns, as Kubernetes' garbage collector does."""
        document = self.objects.pop((resource, namespace, name))
        self._announce("DELETED", resource, document)
        for key, other in list(self.objects.items()):
            owners = [owner["uid"] for owner in other["metadata"].get("ownerReferences", ())]
            if document["metadata"]["uid"] in owners and key in self.objects:
                self.remove(*key)

    def lose(self, resource: str, namespace: str, name: str) -> None:
        """Delete an object without an event."""
        del self.objects[resource, namespace, name]
        self.version += 1

    def forget_history(self) -> None:
        """Have no event before now any more: a watch from an older version is refused with 410."""
        self._oldest = self.version

    def cut(self) -> None:
        """Break every connection, and take no new one until `mend`."""
        self._down = True
        for transport in list(self._transports):
            transport.abort()
        self._wake()

    def mend(self) -> None:
        """Take connections again."""
        self._down = False

    def asked(self, *verbs: str) -> list[Request]:
        """Return the requests of these verbs."""
        return [request for request in self.requests if request.verb in verbs]

    def _announce(self, event: str, resource: str, document: Object) -> None:
        self.version += 1
        document["metadata"]["resourceVersion"] = str(self.version)
        self._history.append((self.version, event, resource, copy.deepcopy(document)))
        self._wake()

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer one request."""
        if request.transport is not None:
            self._transports.add(request.transport)
            if self._down:
                request.transport.abort()
        try:
            return await self._answer(request)
        except Refusal as refusal:
            document = {"kind": "Status", "code": refusal.code, "message": refusal.message}
            return web.json_response(document, status=refusal.code)

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        if (discovered := _discovery(request.path.strip("/"))) is not None:
            return web.json_response(discovered)
        parts = request.path.strip("/").split("/")[2 if request.path.startswith("/api/") else 3 :]
        namespace = parts[1] if parts[0] == "namespaces" and len(parts) > 2 else ""
        resource, name, *_ = [*(parts[2:] if namespace else parts), ""]
        watching, wants = "watch" in request.query, request.query.get("labelSelector", "")
        verb = {"GET": "get" if name else "watch" if watching else "list", "POST": "create"}.get(
            request.method, request.method.lower()
        )
        self.requests.append(Request(verb, resource, namespace, name))
        match verb:
            case "list" if self.failures:
                self.failures -= 1
                raise Refusal(500, "out of order")
            case "list":
                return web.json_response(self._list(resource, namespace, wants, request.query))
            case "watch":
                return await self._watch(request, resource, namespace, wants)
            case "create":
                return web.json_response(self._create(resource, namespace, await request.json()))
        key = (resource, namespace, name)
        if key not in self.objects:
            raise Refusal(404, f"{resource} {name} not found")
        match verb:
            case "patch":
                if self.surprises:
                    self.surprises.pop(0)()
                self._apply_status(key, json.loads(await request.text()))
            case "delete":
                self.remove(*key)
                return web.json_response({"kind": "Status", "status": "Success"})
        return web.json_response(self.objects[key])

    def _list(self, resource: str, namespace: str, wants: str, query: Mapping[str, str]) -> Object:
        found = [
            document
            for (kind, where, _), document in sorted(self.objects.items())
            if kind == resource and where.startswith(namespace) and _is_wanted(document, wants)
        ]
        begin, limit = int(query.get("continue", 0)), int(query.get("limit", len(found) or 1))
        end = begin + limit
        metadata = {"resourceVersion": str(self.version), "continue": str(end) if end < len(found) else ""}
        return {"metadata": metadata, "items": found[begin:end]}

    async def _watch(self, request: web.Request, resource: str, namespace: str, wants: str) -> web.StreamResponse:
        seen = int(request.query["resourceVersion"])
        response = web.StreamResponse()
        await response.prepare(request)
        if seen < self._oldest:
            gone = {"kind": "Status", "code": 410, "message": "too old resource version"}
            await response.write(json.dumps({"type": "ERROR", "object": gone}).encode() + b"\n")
            return response
        while not self._down:
            for version, event, kind, document in [entry for entry in self._history if entry[0] > seen]:
                seen = version
                if (
                    kind == resource
                    and document["metadata"].get("namespace", "").startswith(namespace)
                    and _is_wanted(document, wants)
                ):
                    line = json.dumps({"type": event, "object": document}).encode() + b"\n"
                    # In two parts: a line may come in any number of them.
                    with suppress(ConnectionError):
                        await response.write(line[:20])
                        await response.write(line[20:])
            if not any(entry[0] > seen for entry in self._history):
                await self._changed.wait()
        return response

    def _create(self, resource: str, namespace: str, document: Object) -> Object:
        name = document["metadata"].get("name") or f"event-{self.version}"
        if (resource, namespace, name) in self.objects:
            raise Refusal(409, f"{resource} {name} already exists")
        document["metadata"] |= {"name": name, "namespace": namespace}
        return self.put(resource, document)

    def _apply_status(self, key: tuple[str, str, str], body: Object) -> None:
        document = self.objects[key]
        if body["metadata"]["resourceVersion"] != document["metadata"]["resourceVersion"]:
            raise Refusal(409, "the object has been modified")
        kept = {name: value for name, value in (document.get("status") or {}).items() if name in OF_AGENTS}
        self.put(key[0], {**document, "status": {**kept, **body["status"]}})


def _discovery(path: str) -> Object | None:
    """Return what groups, versions and kinds there are; None for any other path."""
    match path.split("/"):
        case ["api"]:
            return {"versions": ["v1"]}
        case ["apis"]:
            groups = [group.split("/") for group in GROUPS if "/" in group]
            versions = [(name, {"groupVersion": f"{name}/{version}", "version": version}) for name, version in groups]
            return {"groups": [{"name": name, "versions": [one], "preferredVersion": one} for name, one in versions]}
        case ["api" | "apis", *rest] if "/".join(rest) in GROUPS:
            verbs = ["get", "list", "watch", "patch"]
            return {
                "resources": [
                    {
                        "name": plural,
                        "singularName": kind.lower(),
                        "kind": kind,
                        "namespaced": plural not in ("namespaces", "customresourcedefinitions"),
                        "verbs": verbs,
                    }
                    for plural, kind in GROUPS["/".join(rest)]
                ]
            }
        case _:
            return None


def _is_wanted(document: Object, selector: str) -> bool:
    labels = document["metadata"].get("labels") or {}
    if selector.startswith("!"):
        return selector[1:] not in labels
    label, equals, value = selector.partition("=")
    return not selector or (labels.get(label) == value if equals else label in labels)


@asynccontextmanager
async def running_api_server() -> AsyncIterator[ApiServer]:
    """Run a server on a free port of the loopback interface."""
    server = ApiServer()
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", server.handle)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    server.host = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield server
    finally:
        server.cut()
        await runner.cleanup()


def connect(server: ApiServer, learn: Any = lambda document: None) -> KubernetesApi:
    """Return a connection to the server."""
    return KubernetesApi(client.Configuration(host=server.host), learn)
