"""Run the engine in its own thread beside the event loop of the reporter."""

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
    """Return the executor on the run's own cluster, whose workers may join later."""
    workers = plan.spec.cluster.workers
    executor = DaskExecutor(address=scheduler)
    executor.tuned = True
    executor.threads = workers.replicas * workers.processes * workers.threads
    return executor


def make_conductor(plan: Plan, flow: Flow, scheduler: str, observer: Observer) -> Conductor:
    """Return the conductor of a plan on a Dask cluster; TLS settings come from Dask's environment variables."""
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
    """Runs a conductor once. Not thread-safe: use it from the event loop's thread."""

    def __init__(self, conductor: Conductor) -> None:
        """Start the thread. `ended` gets the flow run's final State, or the exception of the engine."""
        self._conductor = conductor
        self._loop = asyncio.get_running_loop()
        self.ended: asyncio.Future[State] = self._loop.create_future()
        # A daemon thread: hanging user code must not keep the process alive.
        self._thread = threading.Thread(target=self._run, name="flowkiln-engine", daemon=True)
        self._thread.start()

    @property
    def is_missing(self) -> bool:
        """Return whether the thread ended without a result."""
        return not self._thread.is_alive() and not self.ended.done()

    @property
    def has_succeeded(self) -> bool:
        """Return whether the run is over and successful."""
        return self.ended.done() and self.ended.exception() is None and self.ended.result().is_successful()

    def terminate(self) -> None:
        """Terminate the run."""
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
            # A future does not accept StopIteration.
            self.ended.set_exception(error if isinstance(error, Exception) else RuntimeError(repr(error)))
