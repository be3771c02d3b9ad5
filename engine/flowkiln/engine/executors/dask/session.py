"""The session of one run on a Dask cluster.

Units are submitted as graphs, so the scheduler knows their dependencies. States are sent back without values, as
events; values stay on the workers under the keys of the units until they are released.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Sequence
from typing import Any

from distributed import Client, Future

from flowkiln.common import pickling
from flowkiln.common.safe_text import safe_str, shortened
from flowkiln.engine.driver import LostUnit, MemberStuck, UnitForgotten, UnitLost, UnitPolicy, UnitShortened, WorkerLost
from flowkiln.engine.driver.units import StateSource, Unit, UnitKey
from flowkiln.engine.driver.upstreams import keys_in
from flowkiln.engine.environment import RunEnvironment
from flowkiln.engine.executors.dask.events import (
    Abandoned,
    EventSubscriber,
    Forgotten,
    Shortened,
    WorkerEvent,
    WorkerLoss,
)
from flowkiln.engine.executors.dask.shutdown import end_run_on_workers
from flowkiln.engine.executors.dask.transfer import dumps_unit
from flowkiln.engine.executors.dask.worker import Carrier, ClosedGate, gate_plugin_name, run_on_worker, share, unshare
from flowkiln.engine.executors.session import Deliver
from flowkiln.engine.serialization.unsendable import sendable_environment
from flowkiln.engine.unit_runner import UnitReport, resolve
from flowkiln.states.state import State

INLINE_LIMIT = 256 * 1024
"""Total bytes of environment copies sent inline with units; later units refer to it by a key."""

_PLACES = 10**6
_LEVELS = 9 * 10**6
"""Upper bounds of units per submission and of levels that fit into 64 bits together."""


class UnitPriority:
    """The priority of the units of one submission, by their keys.

    Deeper levels of the graph come first, so maps run depth first, also after a unit was truncated. On one level
    earlier submissions come first, and within a submission lower map indexes.
    """

    def __init__(self, submission: int, units: Sequence[Unit]) -> None:
        in_order = sorted(units, key=lambda unit: unit.key[1])
        base = submission * _PLACES
        self._values: dict[object, int] = {
            unit.key: min(unit.level, _LEVELS) * _PLACES * _PLACES - base - place for place, unit in enumerate(in_order)
        }

    def __call__(self, key: object) -> int:
        """Return the priority of a key; called by Dask's scheduler."""
        return self._values.get(key, 0)


class DaskSession:
    """Executes the units of one run on a Dask cluster with `threads` worker threads."""

    def __init__(
        self, client: Client, subscriber: EventSubscriber, threads: int, environment: RunEnvironment, deliver: Deliver
    ) -> None:
        self._client, self._subscriber, self._deliver = client, subscriber, deliver
        self._began: dict[UnitKey, tuple[str, int]] = {}
        self._ended_on_purpose: set[str] = set()
        self._run_id = environment.run_id
        self._raise = bool(environment.context.get("raise_on_exception"))
        self._futures: dict[UnitKey, Future] = {}
        # By key, whether the unit announces the starts of its members first.
        self._unreported: dict[UnitKey, bool] = {}
        self._threads_of: dict[str, int] = {}
        self._silent: set[UnitKey] = set()
        self._submissions = 0
        self._was_cut_off = False
        self.policy = UnitPolicy(fuse=True, threads=threads)
        self._environment = self._pickled_environment(environment)
        self._inline_left = INLINE_LIMIT
        self._environment_future: Future | None = None
        subscriber.join(self._run_id, self)

    def _pickled_environment(self, environment: RunEnvironment) -> bytes:
        """Return the pickled environment; empty if scheduler and workers are threads of this process."""
        if self._client.scheduler.address.startswith("inproc://"):
            share(environment)
            return b""
        try:
            return pickling.dumps(environment)
        except Exception:
            return pickling.dumps(sendable_environment(environment))

    def submit(self, units: Sequence[Unit]) -> None:
        """Submit units: several as one graph, a single one as a call, which is cheaper for the scheduler."""
        self._submissions += 1
        priority = UnitPriority(self._submissions, units)
        new = {unit.key for unit in units}
        calls = {unit.key: self._call(unit, new) for unit in units}
        keys = list(calls)
        self._unreported.update((unit.key, unit.announce_first) for unit in units)
        if len(keys) == 1:
            self._futures[keys[0]] = self._client.submit(*calls[keys[0]], key=keys[0], pure=False, priority=priority)
        else:
            self._futures.update(zip(keys, self._client.get(calls, keys, sync=False, priority=priority), strict=True))

    def _call(self, unit: Unit, beside: Collection[UnitKey]) -> tuple[Any, ...]:
        """Return the call that runs a unit; its needs are keys of the same graph, or futures."""
        needs = [key if key in beside else self._futures[key] for key in unit.needs]
        return (
            run_on_worker,
            self._subscriber.topic,
            self._run_id,
            self._environment_for_unit(),
            dumps_unit(unit),
            needs,
        )

    def _environment_for_unit(self) -> bytes | Future:
        self._inline_left -= len(self._environment)
        if self._inline_left >= 0:
            return self._environment
        if self._environment_future is None:
            key = f"environment-{self._run_id}"
            (self._environment_future,) = self._client.get(
                {key: self._environment}, [key], sync=False, priority=UnitPriority(self._submissions + 1, ())
            )
        return self._environment_future

    def set_gate(self, is_open: bool) -> None:
        """Set on all workers, including later ones, whether units may run."""
        if is_open:
            self._client.unregister_worker_plugin(gate_plugin_name(self._run_id))
        else:
            self._client.register_plugin(ClosedGate(self._run_id))

    def pump(self, is_awaited: Callable[[], bool]) -> bool:
        """Return False: the cluster makes progress by itself."""
        return False

    def fetch(self, sources: Sequence[StateSource]) -> list[State]:
        """Return states with their values from the workers."""
        keys = {key for source in sources for key in keys_in(source)}
        gathered = self._client.gather({key: self._futures[key] for key in keys}) if keys else {}
        return [resolve(one, gathered) for one in sources]

    def release(self, keys: Sequence[UnitKey]) -> None:
        """Release the results of these units."""
        for key in keys:
            self._futures.pop(key, None)
            self._unreported.pop(key, None)

    def cancel(self, keys: Sequence[UnitKey]) -> None:
        """Cancel units; running bodies continue until the session is closed."""
        self._was_cut_off = True
        for key in keys:
            self._unreported.pop(key, None)
        futures = [self._futures.pop(key) for key in keys if key in self._futures]
        self._client.cancel(futures)

    def close(self) -> None:
        """Release everything of this run, and interrupt running bodies."""
        self._subscriber.leave(self._run_id)
        if self._was_cut_off or self._unreported:
            end_run_on_workers(self._client, self._run_id)
        unshare(self._run_id)
        self._futures.clear()
        self._environment_future = None

    def on_worker_event(self, event: WorkerEvent) -> None:
        """Handle an event of a worker about this run."""
        self._threads_of[event.address] = event.threads
        # The body of a cancelled unit may still run.
        started = [began for began in event.began if began.key in self._unreported]
        for began in started:
            self._began[began.key] = (event.address, began.position)
        if started:
            self._deliver([began.record for began in started])
        match event.end:
            case UnitReport(key):
                self._began.pop(key, None)
                self._unreported.pop(key, None)
                self._deliver(event.end)
            case Forgotten(key):
                self._began.pop(key, None)
                self._unreported.pop(key, None)
                self._deliver(UnitForgotten(key, time.time()))
            case Shortened(key, length):
                self._deliver(UnitShortened(key, length, time.time()))
            case Abandoned(key, outcomes, records):
                self._ended_on_purpose.add(event.address)
                self._began.pop(key, None)
                self._unreported.pop(key, None)
                self._deliver([*records])
                self._deliver(MemberStuck(key, outcomes, time.time()))

    def on_worker_loss(self, loss: WorkerLoss) -> None:
        """Handle the loss of a worker."""
        lost = [key for key in loss.keys if key in self._futures and key in self._unreported]
        seen: dict[UnitKey, int] = {}
        for key in lost:
            address, position = self._began.pop(key, ("", 0))
            if address == loss.address:
                seen[key] = position
        is_thread_left = len(seen) < self._threads_of.pop(loss.address, 1)
        units = [
            # A unit that announces starts first has not started unless that was reported.
            LostUnit(key, seen.get(key), likely=is_thread_left and key not in seen and not self._unreported[key])
            for key in lost
        ]
        if units:
            charged = loss.address not in self._ended_on_purpose
            message = "The worker process died while it ran this task."
            self._deliver(WorkerLost(tuple(units), message, charged, time.time()))

    async def poll(self) -> None:
        """Find units that will never report: callbacks for all futures would be too expensive."""
        silent = set()
        for key in list(self._unreported):
            future = self._futures.get(key)
            if future is None or future.status == "pending":
                continue
            if future.status == "finished" and key not in self._silent:
                # Its report comes first, but may have been unreadable.
                silent.add(key)
                continue
            self._unreported.pop(key, None)
            # Its exception can only be read from another thread.
            await asyncio.get_running_loop().run_in_executor(None, self._report_error, future)
        self._silent = silent

    def fail(self, error: Exception) -> None:
        """End the run with an error."""
        self._deliver(error)

    def _report_error(self, future: Future) -> None:
        error = future.exception() if future.status == "error" else None
        if isinstance(error, Carrier):
            error = error.carried
        if self._raise and error is not None:
            self._deliver(error)
        else:
            self._deliver(UnitLost(future.key, _explain(error, future.status), time.time()))


def _explain(error: BaseException | None, status: str) -> str:
    if error is None:
        return f"The cluster lost the task run ({status})."
    return shortened(f"{type(error).__name__}: {safe_str(error)}", 1024)
