"""The engine, in a thread of its own beside the event loop that reports."""

from __future__ import annotations

import asyncio
import threading
import uuid

from flowkiln.api.plan import Plan
from flowkiln.core.flow import Flow
from flowkiln.engine.executors.dask.executor import DaskExecutor
from flowkiln.engine.runs.conductor import Conductor
from flowkiln.states.records import Observer
from flowkiln.states.state import State


def make_executor(plan: Plan, scheduler: str) -> DaskExecutor:
    """Where task runs go: the run's own cluster, whose workers may join only after this."""
    workers = plan.spec.cluster.workers
    executor = DaskExecutor(address=scheduler)
    executor.tuned = True
    executor.threads = workers.replicas * workers.processes * workers.threads
    return executor


def make_conductor(plan: Plan, flow: Flow, scheduler: str, observer: Observer) -> Conductor:
    """The engine for a plan on a Dask cluster, whose TLS settings come from Dask's own environment variables."""
    return Conductor(
        flow,
        make_executor(plan, scheduler),
        parameters=dict(plan.parameters),
        context=dict(plan.context),
        observer=observer,
        run_id=uuid.UUID(plan.run.uid).hex,
        until_resumed=True,
    )


class EngineThread:
    """Runs a conductor once. Belongs to the event loop's thread."""

    def __init__(self, conductor: Conductor) -> None:
        """Start it. `ended` gets the flow run's final State, or the exception that the engine ended with."""
        self._conductor = conductor
        self._loop = asyncio.get_running_loop()
        self.ended: asyncio.Future[State] = self._loop.create_future()
        # A daemon: user code that hangs in it must not keep the process from ending.
        self._thread = threading.Thread(target=self._run, name="flowkiln-engine", daemon=True)
        self._thread.start()

    @property
    def is_missing(self) -> bool:
        """Whether the thread is gone without having said how the run ended."""
        return not self._thread.is_alive() and not self.ended.done()

    @property
    def has_succeeded(self) -> bool:
        """Whether the run is over, and successful."""
        return self.ended.done() and self.ended.exception() is None and self.ended.result().is_successful()

    def terminate(self) -> None:
        """Ask the engine to end the run now."""
        self._conductor.terminate()

    def _run(self) -> None:
        try:
            state = self._conductor.run()
        except BaseException as error:
            self._loop.call_soon_threadsafe(self._fail, error)
        else:
            self._loop.call_soon_threadsafe(self._succeed, state)

    def _succeed(self, state: State) -> None:
        if not self.ended.done():
            self.ended.set_result(state)

    def _fail(self, error: BaseException) -> None:
        if not self.ended.done():
            # A StopIteration cannot be put into a future.
            self.ended.set_exception(error if isinstance(error, Exception) else RuntimeError(repr(error)))
