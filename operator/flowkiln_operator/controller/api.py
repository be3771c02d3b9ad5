"""The few requests that the controller makes of the Kubernetes API, on plain documents."""

from __future__ import annotations

import json
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote, urlencode

from kubernetes.aio import client, config

from flowkiln.api import API_VERSION
from flowkiln.api.names import FLOW_KIND, FLOW_RUN_KIND, FLOW_RUNS, FLOWS, OPERATOR_FIELD_MANAGER

Document = dict[str, Any]

TIMEOUT_SECONDS = 30

_JSON = "application/json"
_APPLY = "application/apply-patch+yaml"

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
    """A connection to the API server."""

    def __init__(self, api_client: client.ApiClient) -> None:
        self._client = api_client

    @classmethod
    async def connect(cls) -> Self:
        """Connect as the pod's ServiceAccount, or outside of a cluster as kubectl would."""
        configuration = client.Configuration()
        try:
            config.load_incluster_config(client_configuration=configuration)
        except config.ConfigException:
            await config.load_kube_config(client_configuration=configuration)
        return cls(client.ApiClient(configuration))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._client.close()

    async def get(self, api_version: str, kind: str, namespace: str, name: str) -> Document | None:
        """Return the object, or None when there is none."""
        try:
            return await self._request("GET", _path(api_version, kind, namespace, name))
        except ApiError as error:
            if error.status == 404:
                return None
            raise

    async def list(self, api_version: str, kind: str, namespace: str, *, labels: str) -> list[Document]:
        """Return the namespace's objects that a label selector picks."""
        query = urlencode({"labelSelector": labels})
        found = await self._request("GET", f"{_path(api_version, kind, namespace)}?{query}")
        items: list[Document] = found.get("items") or []
        return items

    async def create(self, manifest: Mapping[str, Any]) -> Document:
        """Create the object. ApiError 409 when its name is taken."""
        path = _path(manifest["apiVersion"], manifest["kind"], manifest["metadata"]["namespace"])
        query = urlencode({"fieldManager": OPERATOR_FIELD_MANAGER})
        return await self._request("POST", f"{path}?{query}", body=manifest)

    async def delete(self, api_version: str, kind: str, namespace: str, name: str, *, uid: str) -> None:
        """Delete exactly this object; nothing happens when it is gone, or another one has its name by now."""
        body = {"preconditions": {"uid": uid}, "propagationPolicy": "Background"}
        try:
            await self._request("DELETE", _path(api_version, kind, namespace, name), body=body)
        except ApiError as error:
            if error.status not in (404, 409):
                raise

    async def apply_status(self, manifest: Mapping[str, Any]) -> Document:
        """Apply the manifest's status, and take over the fields that others own. It must name all that is ours."""
        metadata = manifest["metadata"]
        path = _path(manifest["apiVersion"], manifest["kind"], metadata["namespace"], metadata["name"])
        query = urlencode({"fieldManager": OPERATOR_FIELD_MANAGER, "force": "true"})
        return await self._request("PATCH", f"{path}/status?{query}", body=manifest, content_type=_APPLY)

    async def _request(self, method: str, path: str, *, body: Any = None, content_type: str = _JSON) -> Document:
        headers = {"Accept": _JSON, "Content-Type": content_type}
        await self._client.update_params_for_auth(headers, [], ["BearerToken"], path, method, body)
        response = await self._client.call_api(
            method,
            f"{self._client.configuration.host}{path}",
            header_params=headers,
            body=body,
            _request_timeout=TIMEOUT_SECONDS,
        )
        data = await response.read()
        document = _parse(data)
        if not 200 <= response.status <= 299:
            raise ApiError(
                response.status, document.get("reason", ""), document.get("message") or response.reason or ""
            )
        return document


def _path(api_version: str, kind: str, namespace: str, name: str | None = None) -> str:
    root = "/apis" if "/" in api_version else "/api"
    path = f"{root}/{api_version}/namespaces/{quote(namespace)}/{PLURALS[(api_version, kind)]}"
    return f"{path}/{quote(name)}" if name is not None else path


def _parse(data: bytes) -> Document:
    try:
        document = json.loads(data)
    except ValueError:
        return {"message": data.decode(errors="replace")}
    return document if isinstance(document, dict) else {}
