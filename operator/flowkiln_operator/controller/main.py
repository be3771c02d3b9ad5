"""The operator's process: settings, connection, watches, work."""

from __future__ import annotations

import argparse
import asyncio
import gc
import logging
import os
import sys
from collections.abc import Callable, Sequence

import kopf

from flowkiln_operator.controller import json_log
from flowkiln_operator.controller.api import ApiError, KubernetesApi
from flowkiln_operator.controller.cache import Cache
from flowkiln_operator.controller.handlers import make_registry, make_settings, watched_kinds
from flowkiln_operator.controller.memory import Memory
from flowkiln_operator.controller.metrics import Metrics
from flowkiln_operator.controller.reconcile import Reconciler
from flowkiln_operator.controller.server import serve
from flowkiln_operator.controller.settings import Settings, SettingsError
from flowkiln_operator.controller.sweep import Sweeper
from flowkiln_operator.controller.work_queue import Key, WorkQueue
from flowkiln_operator.resources.dask_cluster import ClusterConfig

logger = logging.getLogger(__name__)

GC_THRESHOLD = 50_000
"""New containers after which Python looks for circles. By its own 700 it looks so often while a large object is decoded
that this takes eight times as long."""
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
    gc.set_threshold(GC_THRESHOLD)
    return asyncio.run(operate(settings))


async def operate(settings: Settings) -> int:
    """Run until a signal (return 0), or until a watch or worker fails (return 1).

    After a failure nothing needs to be saved: all state is in Kubernetes, and a new process reconciles every run.
    """
    ready, metrics, run_class = asyncio.Event(), Metrics(), settings.run_class or None
    cluster_config = ClusterConfig(settings.runtime_image, settings.runtime_image_pull_secrets, settings.cluster_domain)
    cache = Cache(lambda key: queue.add(key))
    async with await KubernetesApi.connect(cache.learn) as api:
        reconciler = Reconciler(api, cache, Memory(), cluster_config, metrics, run_class)
        queue = WorkQueue(reconciler.reconcile, settings.concurrency, _error_logger(metrics))
        port = await serve(settings.http_port, metrics, cache.states, ready.is_set)
        logger.info("started", extra={"port": port, "namespaces": settings.namespaces or "all", "class": run_class})
        watching = asyncio.create_task(watch(api, cache, run_class, settings.namespaces, ready))
        working = asyncio.create_task(queue.run())
        await asyncio.wait({watching, working}, return_when=asyncio.FIRST_COMPLETED)
        code = _exit_code(watching, working)
        # What is under way ends before its connection does.
        for task in (watching, working):
            task.cancel()
        await asyncio.wait({watching, working})
        return code


def _exit_code(watching: asyncio.Task[None], working: asyncio.Task[None]) -> int:
    for name, task in (("watching", watching), ("working", working)):
        if task.done() and (error := task.exception()) is not None:
            logger.error("%s has failed; the operator exits and must be restarted", name, exc_info=error)
            return EXIT_FAILED
    return 0


async def watch(
    api: KubernetesApi,
    cache: Cache,
    run_class: str | None,
    namespaces: Sequence[str],
    ready: asyncio.Event,
) -> None:
    """Keep the cache up to date by kopf's watches on these namespaces, or on all, until SIGTERM or SIGINT.

    `ready` is set when the watches begin.
    """
    kinds = watched_kinds(cache, run_class)
    sweeper = Sweeper(api, kinds, namespaces or (None,))
    registry = make_registry(cache, kinds, lambda name: name if namespaces else None, sweeper.request)
    async with asyncio.TaskGroup() as group:
        sweeping = group.create_task(sweeper.run())
        await kopf.operator(
            registry=registry,
            settings=make_settings(kinds),
            standalone=True,
            clusterwide=not namespaces,
            namespaces=namespaces,
            ready_flag=ready,
        )
        sweeping.cancel()


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
