"""Requests to the API server from this process, without the time that a start of kubectl takes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kubernetes import client, config

APPLY = "application/apply-patch+yaml"
FIELD_MANAGER = "flowkiln-benchmark"
PLURALS = {
    "ConfigMap": "configmaps",
    "DaskCluster": "daskclusters",
    "Flow": "flows",
    "FlowRun": "flowruns",
    "Secret": "secrets",
    "ServiceAccount": "serviceaccounts",
}


class Api:
    """An API server, as its administrator."""

    def __init__(self, kubeconfig: Path) -> None:
        self._client = config.new_client_from_config(str(kubeconfig))

    def apply(self, manifest: Mapping[str, Any]) -> None:
        """Server-side apply of an object in a namespace; raises ApiException when it is refused."""
        metadata = manifest["metadata"]
        path = f"{collection(manifest['apiVersion'], manifest['kind'], metadata['namespace'])}/{metadata['name']}"
        self._send("PATCH", path, json.dumps(manifest), {"fieldManager": FIELD_MANAGER, "force": "true"})

    def _send(self, method: str, path: str, body: str, query: Mapping[str, str]) -> None:
        request = self._client.param_serialize(
            method,
            path,
            query_params=list(query.items()),
            header_params={"Content-Type": APPLY, "Accept": "application/json"},
            body=body,
            auth_settings=["BearerToken"],
        )
        answer = self._client.call_api(*request)
        answer.read()
        if answer.status >= 400:
            raise client.ApiException(status=answer.status, reason=f"{method} {path}: {answer.data!r}")


def collection(api_version: str, kind: str, namespace: str) -> str:
    """Return the path of a kind's objects in a namespace."""
    root = "/apis" if "/" in api_version else "/api"
    return f"{root}/{api_version}/namespaces/{namespace}/{PLURALS[kind]}"
