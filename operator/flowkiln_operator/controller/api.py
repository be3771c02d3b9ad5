"""The few requests that the controller makes of the Kubernetes API, on plain documents."""

from __future__ import annotations

import json
import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote, urlencode

import aiohttp
from kubernetes.aio import client, config

from flowkiln.api import API_VERSION
from flowkiln.api.names import FLOW_KIND, FLOW_RUN_KIND, FLOW_RUNS, FLOWS, OPERATOR_FIELD_MANAGER

Document = dict[str, Any]

TIMEOUT_SECONDS = 30
PAGE_BYTES = 1 << 20
"""Target size of a page of a list, of which metadata may be large too. Parsing a page blocks the event loop."""
FIRST_PAGE = 10
LARGEST_PAGE = 500

_TIMEOUT = aiohttp.ClientTimeout(total=TIMEOUT_SECONDS)
_JSON = "application/json"
_APPLY = "application/apply-patch+yaml"
_METADATA_LIST = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"

PLURALS: dict[tuple[str, str], str] = {
    (API_VERSION, FLOW_RUN_KIND): FLOW_RUNS,
    (API_VERSION, FLOW_KIND): FLOWS,
    ("kubernetes.dask.org/v1", "DaskCluster"): "daskclusters",
    ("v1", "ConfigMap"): "configmaps",
    ("v1", "Secret"): "secrets",
    ("v1", "ServiceAccount"): "serviceaccounts",
    ("v1", "Pod"): "pods",
    ("v1", "Event"): "events",
    ("apps/v1", "Deployment"): "deployments",
    ("rbac.authorization.k8s.io/v1", "Role"): "roles",
    ("rbac.authorization.k8s.io/v1", "RoleBinding"): "rolebindings",
    ("networking.k8s.io/v1", "NetworkPolicy"): "networkpolicies",
}
"""The kinds that the controller handles, and their names in URLs."""


class ApiError(Exception):
    """The API server refused a request. `status` is the HTTP status, `reason` and the message are its own words."""

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason
        self.message = message


class KubernetesApi:
    """A connection to the API server, to be used in `async with`.

    `learn` is called with each object that a request returns. Of the kubernetes package only the configuration is used:
    its low-level requests differ from version to version, and decode objects into models that nothing here needs.
    """

    def __init__(
        self, configuration: client.Configuration, learn: Callable[[Document], None] = lambda document: None
    ) -> None:
        self._configuration = configuration
        self._learn = learn

    @classmethod
    async def connect(cls, learn: Callable[[Document], None]) -> Self:
        """Connect as the pod's ServiceAccount, or outside of a cluster as kubectl would."""
        configuration = client.Configuration()
        try:
            config.load_incluster_config(client_configuration=configuration)
        except config.ConfigException:
            await config.load_kube_config(client_configuration=configuration)
        return cls(configuration, learn)

    async def __aenter__(self) -> Self:
        connector = aiohttp.TCPConnector(ssl=_tls(self._configuration))
        self._session = aiohttp.ClientSession(connector=connector, trust_env=True)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._session.close()

    async def get(self, api_version: str, kind: str, namespace: str, name: str) -> Document | None:
        """Return the object, or None when there is none."""
        try:
            document = await self._request("GET", _path(api_version, kind, namespace, name))
        except ApiError as error:
            if error.status == 404:
                return None
            raise
        self._learn(document)
        return document

    async def list(self, api_version: str, kind: str, namespace: str, *, labels: str) -> list[Document]:
        """Return the namespace's objects that a label selector picks."""
        query = urlencode({"labelSelector": labels})
        found = await self._request("GET", f"{_path(api_version, kind, namespace)}?{query}")
        items: list[Document] = found.get("items") or []
        return items

    async def names(
        self, api_version: str, kind: str, scope: str | None, *, labels: str
    ) -> tuple[set[tuple[str, str]], int]:
        """Return namespace and name of all objects that a label selector picks, and the version of this list.

        A scope is a namespace, or None for all. Raises ApiError 410 when the API server loses that version meanwhile.
        """
        path, keys, version = _path(api_version, kind, scope), set[tuple[str, str]](), 0
        limit, more = FIRST_PAGE, dict[str, str]()
        while limit:
            query = urlencode({"labelSelector": labels, "limit": limit, **more})
            async with self._send("GET", f"{path}?{query}", accept=_METADATA_LIST) as response:
                data = await response.read()
            page = _checked(response, data)
            version, token = int(page["metadata"]["resourceVersion"]), page["metadata"].get("continue") or ""
            more = {"continue": token}
            keys |= {(one["metadata"]["namespace"], one["metadata"]["name"]) for one in page.get("items") or ()}
            fitting = limit * PAGE_BYTES // max(len(data), 1)
            limit = max(1, min(fitting, 2 * limit, LARGEST_PAGE)) if token else 0
        return keys, version

    async def create(self, manifest: Mapping[str, Any]) -> Document:
        """Create the object. ApiError 409 when its name is taken."""
        path = _path(manifest["apiVersion"], manifest["kind"], manifest["metadata"]["namespace"])
        query = urlencode({"fieldManager": OPERATOR_FIELD_MANAGER})
        document = await self._request("POST", f"{path}?{query}", body=manifest)
        self._learn(document)
        return document

    async def delete(self, api_version: str, kind: str, namespace: str, name: str, *, uid: str | None = None) -> None:
        """Delete an object, exactly the one with this uid if it is given; nothing happens when it is gone."""
        body = {"propagationPolicy": "Background"} | ({"preconditions": {"uid": uid}} if uid else {})
        try:
            document = await self._request("DELETE", _path(api_version, kind, namespace, name), body=body)
        except ApiError as error:
            if error.status not in (404, 409):
                raise
        else:
            # An object with finalizers is returned with its deletionTimestamp.
            self._learn(document)

    async def apply_status(self, manifest: Mapping[str, Any]) -> Document:
        """Apply the manifest's status, and take over the fields that others own. It must name all that is ours."""
        metadata = manifest["metadata"]
        path = _path(manifest["apiVersion"], manifest["kind"], metadata["namespace"], metadata["name"])
        query = urlencode({"fieldManager": OPERATOR_FIELD_MANAGER, "force": "true"})
        document = await self._request("PATCH", f"{path}/status?{query}", body=manifest, content_type=_APPLY)
        self._learn(document)
        return document

    async def _request(self, method: str, path: str, *, body: Any = None, content_type: str = _JSON) -> Document:
        async with self._send(method, path, body=body, content_type=content_type) as response:
            return _checked(response, await response.read())

    @asynccontextmanager
    async def _send(
        self,
        method: str,
        path: str,
        *,
        body: Any = None,
        content_type: str = _JSON,
        accept: str = _JSON,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        headers = {"Accept": accept, "Content-Type": content_type}
        # Asked each time, because the token of a ServiceAccount is renewed.
        for setting in (await self._configuration.auth_settings()).values():
            headers[setting["key"]] = setting["value"]
        async with self._session.request(
            method,
            f"{self._configuration.host}{path}",
            headers=headers,
            data=json.dumps(body) if body is not None else None,
            timeout=_TIMEOUT,
            allow_redirects=False,
            proxy=self._configuration.proxy,
            proxy_headers=self._configuration.proxy_headers,
            server_hostname=self._configuration.tls_server_name,
        ) as response:
            yield response


def _tls(configuration: client.Configuration) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=configuration.ssl_ca_cert)
    if configuration.cert_file:
        context.load_cert_chain(configuration.cert_file, keyfile=configuration.key_file)
    if not configuration.verify_ssl:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if configuration.disable_strict_ssl_verification:
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    return context


def _checked(response: aiohttp.ClientResponse, data: bytes) -> Document:
    document = _parse(data)
    if not 200 <= response.status <= 299:
        raise ApiError(response.status, document.get("reason", ""), document.get("message") or response.reason or "")
    return document


def _path(api_version: str, kind: str, namespace: str | None, name: str | None = None) -> str:
    root = "/apis" if "/" in api_version else "/api"
    where = f"/namespaces/{quote(namespace)}" if namespace is not None else ""
    path = f"{root}/{api_version}{where}/{PLURALS[(api_version, kind)]}"
    return f"{path}/{quote(name)}" if name is not None else path


def _parse(data: bytes) -> Document:
    try:
        document = json.loads(data)
    except ValueError:
        return {"message": data.decode(errors="replace")}
    return document if isinstance(document, dict) else {}
