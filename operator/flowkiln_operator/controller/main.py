"""The operator's process: settings, connection, watches, work."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import signal
import sys
from collections.abc import Callable, Sequence

import kopf

from flowkiln_operator.controller import handlers, json_log
from flowkiln_operator.controller.api import ApiError, KubernetesApi
from flowkiln_operator.controller.memory import Memory
from flowkiln_operator.controller.metrics import Metrics
from flowkiln_operator.controller.reconcile import Reconciler
from flowkiln_operator.controller.server import serve
from flowkiln_operator.controller.settings import Settings, SettingsError
from flowkiln_operator.controller.watched import Watched
from flowkiln_operator.controller.work_queue import Key, WorkQueue
from flowkiln_operator.resources.dask_cluster import ClusterConfig

logger = logging.getLogger(__name__)

EXIT_SETTINGS = 2
EXIT_WATCHES_ENDED = 1


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the operator until it is told to stop. Returns the exit code: not 0 when it could not go on."""
    parser = argparse.ArgumentParser(prog="flowkiln-operator", description="Runs FlowRuns on Kubernetes.")
    parser.parse_args(arguments)
    try:
        settings = Settings.from_environment(os.environ)
    except SettingsError as error:
        print(f"flowkiln-operator: {error}", file=sys.stderr)  # noqa: T201  before there is a log
        return EXIT_SETTINGS
    json_log.configure(settings.log_level)
    return asyncio.run(operate(settings))


async def operate(settings: Settings) -> int:
    """Watch and work until a signal comes (then 0), or until watching or working fails (then 1).

    After a failure there is nothing to save: all state is in Kubernetes, and a new process looks at every run again.
    """
    stop, ready = asyncio.Event(), asyncio.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, stop.set)
    metrics, watched, run_class = Metrics(), Watched(), settings.run_class or None
    async with await KubernetesApi.connect() as api:
        cluster_config = ClusterConfig(
            settings.runtime_image, settings.runtime_image_pull_secrets, settings.cluster_domain
        )
        reconciler = Reconciler(api, Memory(), cluster_config, metrics, run_class)
        queue = WorkQueue(reconciler.reconcile, settings.concurrency, _error_logger(metrics))
        port = await serve(settings.http_port, metrics, watched.states, ready.is_set)
        logger.info("started", extra={"port": port, "namespaces": settings.namespaces or "all", "class": run_class})
        watching = asyncio.create_task(
            kopf.operator(
                registry=handlers.make_registry(queue, watched),
                settings=handlers.make_settings(run_class),
                standalone=True,
                clusterwide=not settings.namespaces,
                namespaces=settings.namespaces,
                stop_flag=stop,
                ready_flag=ready,
            )
        )
        working = asyncio.create_task(queue.run())
        await asyncio.wait({watching, working}, return_when=asyncio.FIRST_COMPLETED)
        working.cancel()
        return _exit_code(watching, stop)


def _exit_code(watching: asyncio.Task[None], stop: asyncio.Event) -> int:
    if not watching.done():
        logger.error("working has ended; the operator exits, to be started afresh")
        return EXIT_WATCHES_ENDED
    if watching.exception() is not None:
        logger.error("watching has failed; the operator exits, to be started afresh", exc_info=watching.exception())
        return EXIT_WATCHES_ENDED
    return 0 if stop.is_set() else EXIT_WATCHES_ENDED


def _error_logger(metrics: Metrics) -> Callable[[Key, Exception], None]:
    def log(key: Key, error: Exception) -> None:
        metrics.errors.inc()
        run = "/".join(key)
        if isinstance(error, ApiError):
            logger.warning("the API server refused: %s", error.message, extra={"run": run, "status": error.status})
        else:
            logger.error("a look at a run failed", exc_info=error, extra={"run": run})

    return log


if __name__ == "__main__":
    sys.exit(main())
