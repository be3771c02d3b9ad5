"""An API server over one connection that is kept.

A test that waits looks every moment: a kubectl that is started for each look costs more than what it looks at.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from kubernetes import client, config
from urllib3.exceptions import HTTPError

from .interface import HarnessError

JSON = "application/json"
MERGE = "application/merge-patch+json"
DISCOVERY = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
METADATA = "application/json;g=meta.k8s.io;v=v1;as=PartialObjectMetadataList"
SECONDS = 60


@dataclass(frozen=True)
class Resource:
    """A kind of object as the API server serves it."""

    group: str
    version: str
    kind: str
    name: str  # plural, lower case
    names: frozenset[str]  # by which kubectl knows it
    namespaced: bool
    listable: bool

    def path(self, namespace: str) -> str:
        """Return the path of the objects in a namespace."""
        root = f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"
        return f"{root}/namespaces/{namespace}/{self.name}" if self.namespaced else f"{root}/{self.name}"


class Api:
    """Reads a cluster's objects, with all rights, and makes namespaces."""

    def __init__(self, kubeconfig: Path) -> None:
        self._api = config.new_client_from_config(config_file=str(kubeconfig), persist_config=False)
        self._resources: tuple[Resource, ...] = ()

    def get(self, kind: str, name: str, namespace: str) -> dict[str, Any] | None:
        """Return an object; None when there is none. `kind` is what kubectl takes: pods, or flows.flowkiln.dev."""
        return self._read(f"{self._resource(kind).path(namespace)}/{name}")

    def list(self, kind: str, namespace: str, *, selector: str = "") -> list[dict[str, Any]]:
        """Return the objects of a kind in a namespace."""
        query = urlencode({"labelSelector": selector})
        found = self._read(f"{self._resource(kind).path(namespace)}?{query}") or {}
        return found.get("items") or []

    def try_patch(self, kind: str, name: str, namespace: str, patch: object) -> str:
        """Try a merge patch without storing it; return what the API server says against it, or nothing."""
        path = f"{self._resource(kind).path(namespace)}/{name}?dryRun=All"
        try:
            return "" if self._send("PATCH", path, patch, content_type=MERGE) else f"there is no {kind}/{name}"
        except HarnessError as error:
            return str(error)

    def create_namespace(self, name: str, labels: Mapping[str, str]) -> None:
        """Create a namespace."""
        document = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}
        self._send("POST", "/api/v1/namespaces", document)

    def delete_namespace(self, name: str) -> None:
        """Have a namespace deleted, some time soon."""
        self._send("DELETE", f"/api/v1/namespaces/{name}")

    def all_metadata(self, namespace: str, *, without: frozenset[str] = frozenset()) -> Iterator[tuple[str, Any]]:
        """Yield kind and metadata of every object in a namespace, except for some resources."""
        for resource in self._discovered():
            if resource.namespaced and resource.listable and not resource.names & without:
                # What was taken away since it was discovered has no objects.
                found = self._read(resource.path(namespace), accept=METADATA) or {}
                for item in found.get("items") or ():
                    yield resource.kind, item["metadata"]

    def _resource(self, kind: str) -> Resource:
        for resources in (self._resources, self._discovered()):
            for resource in resources:
                if kind in resource.names:
                    return resource
        raise HarnessError(f"the API server has no resource {kind}")

    def _discovered(self) -> tuple[Resource, ...]:
        """Return all resources, each in its preferred version."""
        found: dict[tuple[str, str], Resource] = {}
        for path in ("/api", "/apis"):
            for group in (self._read(path, accept=DISCOVERY) or {})["items"]:
                for resource in _resources(group):
                    found.setdefault((resource.group, resource.name), resource)
        self._resources = tuple(found.values())
        return self._resources

    def _read(self, path: str, *, accept: str = JSON) -> dict[str, Any] | None:
        """Return what a path holds; None when there is nothing."""
        return self._send("GET", path, accept=accept)

    def _send(
        self, method: str, path: str, body: object = None, *, accept: str = JSON, content_type: str = JSON
    ) -> dict[str, Any] | None:
        headers = {"Accept": accept, "Content-Type": content_type}
        request = self._api.param_serialize(
            method, path, header_params=headers, body=body, auth_settings=["BearerToken"]
        )
        try:
            answer = self._api.call_api(*request, _request_timeout=SECONDS)
        except (client.ApiException, HTTPError, OSError) as error:
            raise HarnessError(f"{method} {path}: {error}") from error
        text = answer.read().decode()
        if answer.status == HTTPStatus.NOT_FOUND:
            return None
        if answer.status >= HTTPStatus.BAD_REQUEST:
            raise HarnessError(f"{method} {path}: {answer.status} {text}")
        found: dict[str, Any] = json.loads(text)
        return found


@functools.cache
def api(kubeconfig: Path) -> Api:
    """Return the API server of a cluster."""
    return Api(kubeconfig)


def _resources(group: Mapping[str, Any]) -> Iterator[Resource]:
    name = group["metadata"].get("name", "")
    for version in group["versions"]:
        for resource in version.get("resources", ()):
            names = {resource["resource"], resource.get("singularResource", ""), *resource.get("shortNames", ())}
            yield Resource(
                group=name,
                version=version["version"],
                kind=resource["responseKind"]["kind"],
                name=resource["resource"],
                names=frozenset({*names, f"{resource['resource']}.{name}"} - {"", f"{resource['resource']}."}),
                namespaced=resource["scope"] == "Namespaced",
                listable="list" in resource["verbs"],
            )
