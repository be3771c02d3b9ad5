"""The operator's HTTP server: /healthz for the kubelet, /metrics for Prometheus."""

from __future__ import annotations

from collections.abc import Callable

from aiohttp import web

from flowkiln_operator.controller.metrics import Metrics


async def serve(port: int, metrics: Metrics, states: Callable[[], list[str]], is_ready: Callable[[], bool]) -> int:
    """Serve until the process ends; return the port, which is a free one when asked for port 0.

    /healthz answers if the event loop runs: failing watches end the process. /readyz answers 503 until the watches have
    started.
    """

    async def health(_: web.Request) -> web.Response:
        return web.Response(text="ok")

    async def ready(_: web.Request) -> web.Response:
        return web.Response(text="ok") if is_ready() else web.Response(status=503, text="not watching yet")

    async def show_metrics(_: web.Request) -> web.Response:
        metrics.show_runs(states())
        return web.Response(body=metrics.render(), content_type="text/plain", charset="utf-8")

    application = web.Application()
    application.add_routes([web.get("/healthz", health), web.get("/readyz", ready), web.get("/metrics", show_metrics)])
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, port=port)
    await site.start()
    address: tuple[str, int] = runner.addresses[0]
    return address[1]
