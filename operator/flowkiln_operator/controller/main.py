"""The operator's process: settings, connection, watches, work."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import signal
import sys
from collections.abc import Callable, Sequence

from flowkiln_operator.controller import json_log
from flowkiln_operator.controller.api import ApiError, KubernetesApi
from flowkiln_operator.controller.cache import Cache
from flowkiln_operator.controller.memory import Memory
from flowkiln_operator.controller.metrics import Metrics
from flowkiln_operator.controller.reconcile import Reconciler
from flowkiln_operator.controller.server import serve
from flowkiln_operator.controller.settings import Settings, SettingsError
from flowkiln_operator.controller.watch import watch_all
from flowkiln_operator.controller.work_queue import Key, WorkQueue
from flowkiln_operator.resources.dask_cluster import ClusterConfig

logger = logging.getLogger(__name__)

EXIT_SETTINGS = 2
EXIT_FAILED = 1


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the operator until it is stopped; return the exit code, which is not 0 after a failure."""
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
    """Run until a signal (return 0), or until a watch or worker fails (return 1).

    After a failure nothing needs to be saved: all state is in Kubernetes, and a new process reconciles every run.
    """
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    metrics, run_class = Metrics(), settings.run_class or None
    cluster_config = ClusterConfig(settings.runtime_image, settings.runtime_image_pull_secrets, settings.cluster_domain)
    cache = Cache(lambda key: queue.add(key))
    async with await KubernetesApi.connect(cache.learn) as api:
        reconciler = Reconciler(api, cache, Memory(), cluster_config, metrics, run_class)
        queue = WorkQueue(reconciler.reconcile, settings.concurrency, _error_logger(metrics))
        port = await serve(settings.http_port, metrics, cache.states, cache.has_begun)
        logger.info("started", extra={"port": port, "namespaces": settings.namespaces or "all", "class": run_class})
        working = {
            asyncio.create_task(watch_all(api, cache, run_class, settings.namespaces), name="watching"),
            asyncio.create_task(queue.run(), name="working"),
        }
        stopping = asyncio.create_task(stop.wait())
        await asyncio.wait({*working, stopping}, return_when=asyncio.FIRST_COMPLETED)
        failed = [task for task in working if task.done()]
        for task in working:
            task.cancel()
        await asyncio.wait(working)
        if stopping.done():
            return 0
        for task in failed:
            name, error = task.get_name(), task.exception()
            logger.error("%s has failed; the operator exits and must be restarted", name, exc_info=error)
        return EXIT_FAILED


def _error_logger(metrics: Metrics) -> Callable[[Key, Exception], None]:
    def log(key: Key, error: Exception) -> None:
        metrics.errors.inc()
        run = "/".join(key)
        if isinstance(error, ApiError):
            logger.warning("the API server refused: %s", error.message, extra={"run": run, "status": error.status})
        else:
            logger.error("a reconcile failed", exc_info=error, extra={"run": run})

    return log


if __name__ == "__main__":
    sys.exit(main())
