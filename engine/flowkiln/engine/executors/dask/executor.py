"""The DaskExecutor: a local cluster, or one at an address."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import dask
from distributed import Client, Queue, get_client, worker_client

from flowkiln.common.configuration import config
from flowkiln.engine.executors.base import Executor
from flowkiln.engine.executors.dask.events import EventSubscriber
from flowkiln.engine.executors.dask.keywords import check_keywords
from flowkiln.engine.executors.dask.local_workers import replaced_workers
from flowkiln.engine.executors.dask.resubmissions import ResubmissionPlugin
from flowkiln.engine.executors.dask.shutdown import WorkerProcessPlugin
from flowkiln.engine.executors.dask.tuning import tune

if TYPE_CHECKING:
    from flowkiln.engine.environment import RunEnvironment
    from flowkiln.engine.executors.session import Deliver, Session


_FIRST_WORKER_CLIENT = threading.Lock()
_SETTINGS = {
    # Dask blames every task that was only queued on a lost worker; the driver charges those that were running.
    "distributed.scheduler.allowed-failures": 1_000_000,
    # Daemonic processes cannot have children, so a body could not use multiprocessing.
    "distributed.worker.daemon": False,
}


class DaskExecutor(Executor):
    """An executor on a Dask cluster.

    `address` is a scheduler's, or None ("local") for a cluster of its own, with processes if `local_processes`.
    `kwargs` are arguments of `distributed.Client`; unknown ones raise TypeError. `debug` shows Dask's warnings. The
    attribute `tuned` says whether the cluster belongs to Flowkiln, so its message intervals may be shortened and
    leftover processes ended: by default a cluster that the executor starts. `threads` is the expected number of worker
    threads if workers join after the start.

    When worker processes of Flowkiln's own cluster end, running bodies are interrupted, and leftover processes of
    bodies are ended.
    """

    def __init__(
        self, address: str | None = None, local_processes: bool | None = None, debug: bool | None = None, **kwargs: Any
    ) -> None:
        super().__init__()
        if address is None:
            address = config.engine.executor.dask.address
        self.address = None if address == "local" else address
        check_keywords(kwargs, has_address=self.address is not None)
        self.local_processes = (
            config.engine.executor.dask.local_processes if local_processes is None else local_processes
        )
        self.debug = config.debug if debug is None else debug
        self.kwargs = kwargs
        self.tuned = self.address is None
        self.is_started = False
        self.client: Client | None = None
        self.threads: int | None = None
        self._threads = 1
        self._subscriber: EventSubscriber | None = None

    @contextmanager
    def start(self) -> Iterator[Client]:
        """Open a client, and a local cluster if there is no address; close both at the end.

        Inside another `start` of the same executor its client is reused, so several runs can share one cluster.
        """
        if self.client is not None:
            yield self.client
            return
        options = dict(self.kwargs)
        if self.address is None:
            # Any free port: the default one may belong to another cluster on this machine.
            options.setdefault("dashboard_address", "127.0.0.1:0")
            options["processes"] = self.local_processes
            options["silence_logs"] = logging.WARNING if self.debug else logging.CRITICAL
        else:
            options["address"] = self.address
        try:
            with dask.config.set(_SETTINGS if self.address is None else {}), Client(**options) as client:
                self._register_resubmission_plugin(client)
                if self.tuned:
                    tune(client)
                    client.register_plugin(WorkerProcessPlugin())
                self.client, self.is_started = client, True
                self._threads = self.threads or max(1, sum(client.nthreads().values()))
                self._subscriber = EventSubscriber(client)
                self._subscriber.open()
                try:
                    with replaced_workers(client):
                        yield client
                finally:
                    self._subscriber.close()
        finally:
            self.client, self.is_started, self._subscriber = None, False, None

    def _register_resubmission_plugin(self, client: Client) -> None:
        try:
            client.register_plugin(ResubmissionPlugin())
        except ModuleNotFoundError as error:
            where = client.scheduler.address
            raise ModuleNotFoundError(
                f"The Dask scheduler at {where} cannot load flowkiln ({error}). Install the same version of flowkiln "
                "there as here and on the workers.",
                name=error.name,
            ) from error

    def submit(self, fn: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Submit one call; futures may be among its arguments."""
        with self._usable_client() as client:
            return client.submit(fn, *args, pure=False, **kwargs)

    def map(self, fn: Callable[..., Any], *iterables: Any) -> list[Any]:
        """Submit one call for each tuple of elements."""
        with self._usable_client() as client:
            return client.map(fn, *iterables, pure=False) if iterables else []

    def wait(self, futures: Any) -> Any:
        """Gather results, also those nested in lists and dicts."""
        with self._usable_client() as client:
            return client.gather(futures)

    def queue(self, maxsize: int = 0, client: Client | None = None) -> Any:
        """Make a queue that all workers share."""
        return Queue(maxsize=maxsize, client=client or self.client)

    def open_session(self, environment: RunEnvironment, deliver: Deliver) -> Session:
        """Send units as graphs to the cluster."""
        from flowkiln.engine.executors.dask.session import DaskSession

        if self.client is None or self._subscriber is None:
            raise ValueError("DaskExecutor is not started: use it inside `with executor.start():`.")
        return DaskSession(self.client, self._subscriber, self._threads, environment, deliver)

    @contextmanager
    def _usable_client(self) -> Iterator[Client]:
        if self.client is not None:
            yield self.client
        elif self.is_started:
            # A copy on a worker uses the worker's own client and leaves the thread pool meanwhile. Dask would make
            # several clients for threads that ask for the first one at the same time.
            with _FIRST_WORKER_CLIENT:
                get_client()
            with worker_client() as client:
                yield client
        else:
            raise ValueError("DaskExecutor is not started: use it inside `with executor.start():`.")

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "client": None, "_subscriber": None}
