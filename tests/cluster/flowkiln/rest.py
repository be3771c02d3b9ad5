"""Plain requests to the API server with a token alone, as code in a pod sends them."""

from __future__ import annotations

import base64
import json
import ssl
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.error import HTTPError
from urllib.request import HTTPSHandler, ProxyHandler, Request, build_opener

from tests.cluster.harness.interface import Cluster

from .runs import Object

MERGE = "application/merge-patch+json"
JSON_PATCH = "application/json-patch+json"
APPLY = "application/apply-patch+yaml"
SECONDS = 60


@dataclass(frozen=True)
class Reply:
    """What the API server answered."""

    code: int
    document: Object

    @property
    def message(self) -> str:
        """What a Status says, empty for other documents."""
        return str(self.document.get("message", ""))


@dataclass(frozen=True)
class Bearer:
    """Whoever holds this token."""

    server: str
    trust: ssl.SSLContext
    token: str

    def send(self, method: str, path: str, body: object = None, *, content_type: str = "application/json") -> Reply:
        """Send one request; a refusal is an answer too, and of a watch the first event is."""
        request = Request(
            self.server + path,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {self.token}", "Content-Type": content_type},
        )
        opener = build_opener(ProxyHandler({}), HTTPSHandler(context=self.trust))
        try:
            with opener.open(request, timeout=SECONDS) as response:
                return Reply(response.status, json.loads(response.readline() or b"{}"))
        except HTTPError as error:
            with error:
                return Reply(error.code, json.loads(error.read() or b"{}"))


def bearer(cluster: Cluster, namespace: str, service_account: str) -> Bearer:
    """Return a client that has a real token of a ServiceAccount and no other proof of who it is."""
    config = json.loads(cluster.kubectl("config", "view", "--raw", "--minify", "--output=json"))
    target = config["clusters"][0]["cluster"]
    if data := target.get("certificate-authority-data"):
        trust = ssl.create_default_context(cadata=base64.b64decode(data).decode())
    else:
        trust = ssl.create_default_context(cafile=target["certificate-authority"])
    token = cluster.kubectl("create", "token", service_account, f"--namespace={namespace}").strip()
    return Bearer(target["server"].rstrip("/"), trust, token)


@dataclass(frozen=True)
class Right:
    """Something that somebody may or may not do; `resource` is group/resource or group/resource/subresource."""

    verb: str
    resource: str
    namespace: str = ""
    name: str = ""

    def attributes(self) -> Mapping[str, str]:
        """Return it as a SubjectAccessReview asks for it."""
        group, resource, *subresource = self.resource.split("/")
        return {
            "verb": self.verb,
            "group": group,
            "resource": resource,
            "subresource": "".join(subresource),
            "namespace": self.namespace,
            "name": self.name,
        }


def allowed(cluster: Cluster, user: str, rights: Sequence[Right]) -> dict[Right, bool]:
    """Ask the API server which of these rights a user has; a ServiceAccount has its groups as well."""
    parts = user.split(":")
    groups = ["system:authenticated"]
    if user.startswith("system:serviceaccount:"):
        groups += ["system:serviceaccounts", f"system:serviceaccounts:{parts[2]}"]
    reviews: list[dict[str, Any]] = [
        {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SubjectAccessReview",
            "spec": {"user": user, "groups": groups, "resourceAttributes": right.attributes()},
        }
        for right in rights
    ]
    document = {"apiVersion": "v1", "kind": "List", "items": reviews}
    said = cluster.kubectl("create", "--filename=-", "--output=json", "--validate=false", input=json.dumps(document))
    answers = [bool(answer["status"]["allowed"]) for answer in _documents(said)]
    return dict(zip(rights, answers, strict=True))


def _documents(text: str) -> Iterator[Object]:
    """Yield the JSON documents of a text, one behind the other."""
    decoder = json.JSONDecoder()
    while text := text.lstrip():
        document, end = decoder.raw_decode(text)
        yield document
        text = text[end:]
