"""Reconcile one run: gather, decide, apply."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime

from flowkiln.api.reasons import FlowState, RunState
from flowkiln_operator.controller.actions import Actions, ApplyStatus
from flowkiln_operator.controller.api import ApiError, KubernetesApi
from flowkiln_operator.controller.apply import CONFLICT, apply
from flowkiln_operator.controller.cache import Cache
from flowkiln_operator.controller.decide import decide
from flowkiln_operator.controller.gather import gather, now
from flowkiln_operator.controller.memory import Memory
from flowkiln_operator.controller.metrics import Metrics
from flowkiln_operator.controller.snapshot import Snapshot
from flowkiln_operator.controller.sources import Cached, Direct, Source
from flowkiln_operator.controller.work_queue import Key
from flowkiln_operator.resources.dask_cluster import ClusterConfig


@dataclass(frozen=True, slots=True)
class Reconciler:
    """Reconciles FlowRuns."""

    api: KubernetesApi
    cache: Cache
    memory: Memory
    cluster_config: ClusterConfig
    metrics: Metrics
    run_class: str | None

    async def reconcile(self, key: Key) -> datetime | None:
        """Reconcile the run with this key; return when to reconcile it again at the latest."""
        begun = time.perf_counter()
        try:
            return await self._step(key)
        except ApiError as error:
            if error.status != CONFLICT:
                raise
            # The FlowRun changed between read and write: reconcile again, with a fresh read.
            self.metrics.conflicts.inc()
            self.cache.doubt(key)
            return datetime.now().astimezone()
        finally:
            self.metrics.reconciles.inc()
            self.metrics.duration.observe(time.perf_counter() - begun)

    async def _step(self, key: Key) -> datetime | None:
        run = self.cache.run(key)
        if run is None:
            self.memory.forget(*key)
            return None
        if not self.cache.is_complete:
            # All runs are reconciled once it is.
            return None
        if self.cache.rests(key, now()):
            self.memory.forget(*key)
            return run.settled.due if run.settled is not None else None
        snapshot = await self._gather(Cached(self.cache, self.api), key)
        if snapshot is None:
            return None
        actions = decide(snapshot)
        if _declares_crash(snapshot, actions):
            # The cache may lag behind, and a final state cannot be taken back.
            snapshot = await self._gather(Direct(self.api), key)
            if snapshot is None:
                return None
            actions = decide(snapshot)
        return await apply(self.api, self.memory, self.cluster_config, snapshot, actions)

    async def _gather(self, source: Source, key: Key) -> Snapshot | None:
        return await gather(source, self.api, self.memory, *key, run_class=self.run_class)


def _declares_crash(snapshot: Snapshot, actions: Actions) -> bool:
    """Return whether the actions end a run as Crashed although its agent has not reported that."""
    if snapshot.run.report.state is FlowState.CRASHED:
        return False
    state = snapshot.run.status.state
    return any(
        isinstance(action, ApplyStatus) and action.status["state"] == RunState.CRASHED.value != state
        for action in actions
    )
