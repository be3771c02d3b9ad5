"""A minimal client of the Kubernetes API for the agent, based on tornado, a dependency of distributed."""

from __future__ import annotations

import asyncio
import json
import ssl
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tornado.httpclient import HTTPClientError, HTTPRequest, HTTPResponse
from tornado.simple_httpclient import SimpleAsyncHTTPClient

from flowkiln.api import GROUP, VERSION
from flowkiln.api.names import AGENT_FIELD_MANAGER, FLOW_RUNS

TIMEOUT = 10.0
"""Timeout of one request, in seconds."""
WATCH_SECONDS = 240
"""Maximum duration of one watch, in seconds."""
_METADATA_ONLY = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json"
_NO_LIMIT = 1 << 40
_NO_ANSWER = 599
"""The code that tornado returns for failed connections and timeouts."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The response. `code` is None if there is none, and `error` says why."""

    code: int | None
    document: dict[str, Any]
    error: str = ""
    retry_after: float | None = None
    seconds: float = 0.0

    @property
    def ok(self) -> bool:
        """Return whether the request succeeded."""
        return self.code is not None and 200 <= self.code < 300

    @property
    def reason(self) -> str:
        """Return the error for people; it contains nothing of the request."""
        if self.code is None:
            return self.error
        message = self.document.get("message")
        return f"{self.code} {message if isinstance(message, str) else self.error}".strip()[:500]

    def is_missing(self, name: str) -> bool:
        """Return whether there is no object with this name; a 404 without the name is about the kind or the path."""
        details = self.document.get("details")
        return self.code == 404 and isinstance(details, dict) and details.get("name") == name


@dataclass(frozen=True, slots=True)
class Credentials:
    """The credential files; read for every request, because Kubernetes renews them."""

    token: Path
    ca: Path

    def headers(self) -> dict[str, str]:
        """Return the Authorization header."""
        return {"Authorization": f"Bearer {self.token.read_text().strip()}"}

    def tls(self) -> ssl.SSLContext:
        """Return a TLS context that trusts only the API server's CA."""
        return ssl.create_default_context(cadata=self.ca.read_text())


class FlowRunApi:
    """Requests for one FlowRun. Errors of transport and server are returned as an `Answer`, never raised."""

    def __init__(self, server: str, namespace: str, name: str, credentials: Credentials) -> None:
        self._collection = f"{server}/apis/{GROUP}/{VERSION}/namespaces/{namespace}/{FLOW_RUNS}"
        self._name = name
        self._credentials = credentials
        # Not AsyncHTTPClient(): user code may have configured that class.
        self._client = SimpleAsyncHTTPClient(
            force_instance=True, max_body_size=_NO_LIMIT, max_buffer_size=_NO_LIMIT, max_clients=10
        )

    def close(self) -> None:
        """Release the client's resources."""
        self._client.close()

    async def get(self) -> Answer:
        """Return the complete FlowRun."""
        return await self._send("GET", f"{self._collection}/{self._name}", {"Accept": "application/json"})

    async def get_metadata(self) -> Answer:
        """Return only the FlowRun's metadata."""
        return await self._send("GET", f"{self._collection}/{self._name}", {"Accept": _METADATA_ONLY})

    async def apply_status(self, body: bytes) -> Answer:
        """Apply the status subresource; the answer has only the metadata."""
        return await self._send(
            "PATCH",
            f"{self._collection}/{self._name}/status?fieldManager={AGENT_FIELD_MANAGER}&force=true",
            {"Accept": _METADATA_ONLY, "Content-Type": "application/apply-patch+yaml"},
            body,
        )

    async def watch(self, resource_version: str) -> AsyncGenerator[dict[str, Any] | Answer, None]:
        """Yield the FlowRun's events after a resource version, metadata only, and last the Answer that ended the watch.

        If the caller stops early, the watch stays open until the API server ends it.
        """
        lines: asyncio.Queue[bytes | None] = asyncio.Queue()
        url = (
            f"{self._collection}?watch=true&allowWatchBookmarks=true&timeoutSeconds={WATCH_SECONDS}"
            f"&fieldSelector=metadata.name%3D{self._name}&resourceVersion={resource_version}"
        )
        request = asyncio.ensure_future(
            self._send("GET", url, {"Accept": _METADATA_ONLY}, None, WATCH_SECONDS + TIMEOUT, lines.put_nowait)
        )
        request.add_done_callback(lambda _: lines.put_nowait(None))
        buffer = b""
        refusal: dict[str, Any] = {}
        while (chunk := await lines.get()) is not None:
            *complete, buffer = (buffer + chunk).split(b"\n")
            for document in map(_parse, complete):
                if "type" in document:
                    yield document
                else:
                    refusal = document
        answer = await request
        # A refused watch returns a Status instead of events.
        yield replace(answer, document=_parse(buffer) or refusal)

    async def _send(
        self,
        method: str,
        url: str,
        headers: dict[str, str],
        body: bytes | None = None,
        limit: float = TIMEOUT,
        on_chunk: Callable[[bytes], Any] | None = None,
    ) -> Answer:
        started = time.monotonic()
        try:
            request = HTTPRequest(
                url,
                method,
                headers=headers | self._credentials.headers(),
                body=body,
                connect_timeout=TIMEOUT,
                request_timeout=limit,
                follow_redirects=False,  # the token is only for the API server
                ssl_options=self._credentials.tls() if url.startswith("https:") else None,
                streaming_callback=on_chunk,
            )
            fetch: Awaitable[HTTPResponse] = self._client.fetch(request, raise_error=False)
            response = await fetch
        except (OSError, HTTPClientError, ValueError) as error:
            # ValueError: a credential file is being replaced at this moment.
            return Answer(None, {}, f"{type(error).__name__}: {error}", seconds=time.monotonic() - started)
        return _answer(response, time.monotonic() - started)


def _answer(response: HTTPResponse, seconds: float) -> Answer:
    if response.code == _NO_ANSWER:
        return Answer(None, {}, str(response.error), seconds=seconds)
    after = response.headers.get("Retry-After", "")
    return Answer(
        response.code,
        _parse(response.body or b""),
        response.reason or "",
        float(after) if after.isdigit() else None,
        seconds,
    )


def _parse(body: bytes) -> dict[str, Any]:
    try:
        document = json.loads(body)
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}
