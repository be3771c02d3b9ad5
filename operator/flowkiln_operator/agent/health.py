"""Serve `/healthz`: whether this process makes progress."""

from __future__ import annotations

from collections.abc import Callable

from tornado.httpserver import HTTPServer
from tornado.web import Application, RequestHandler

Check = Callable[[], str | None]
"""Returns what is wrong, or None. It must not block."""


class _Healthz(RequestHandler):
    def initialize(self, check: Check) -> None:
        self._check = check

    def get(self) -> None:
        problem = self._check()
        self.set_status(200 if problem is None else 503)
        self.set_header("Content-Type", "text/plain; charset=utf-8")
        self.finish(f"{problem or 'ok'}\n")


def serve_health(port: int, check: Check) -> HTTPServer:
    """Answer GET /healthz on all addresses: 200 while `check` finds nothing wrong, else 503. Port 0: any free one."""
    server = HTTPServer(Application([("/healthz", _Healthz, {"check": check})], log_function=_no_log))
    server.listen(port)
    return server


def _no_log(handler: RequestHandler) -> None:
    """Log nothing: probes come every few seconds."""
