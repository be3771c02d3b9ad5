"""One look at one run: gather, decide, apply."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime

from flowkiln_operator.controller.api import ApiError, KubernetesApi
from flowkiln_operator.controller.apply import CONFLICT, apply
from flowkiln_operator.controller.decide import decide
from flowkiln_operator.controller.gather import gather
from flowkiln_operator.controller.memory import Memory
from flowkiln_operator.controller.metrics import Metrics
from flowkiln_operator.controller.work_queue import Key
from flowkiln_operator.resources.dask_cluster import ClusterConfig


@dataclass(frozen=True, slots=True)
class Reconciler:
    """Brings runs closer to what they should be, a step a call."""

    api: KubernetesApi
    memory: Memory
    cluster_config: ClusterConfig
    metrics: Metrics
    run_class: str | None

    async def reconcile(self, key: Key) -> datetime | None:
        """Look at the run of this key and do what is due; return when to look again at the latest."""
        namespace, name = key
        begun = time.perf_counter()
        try:
            return await self._step(namespace, name)
        except ApiError as error:
            if error.status != CONFLICT:
                raise
            # The FlowRun changed between the look and the write: look again.
            self.metrics.conflicts.inc()
            return datetime.now().astimezone()
        finally:
            self.metrics.reconciles.inc()
            self.metrics.duration.observe(time.perf_counter() - begun)

    async def _step(self, namespace: str, name: str) -> datetime | None:
        snapshot = await gather(self.api, self.memory, namespace, name, run_class=self.run_class)
        if snapshot is None:
            self.memory.forget(namespace, name)
            return None
        actions = decide(snapshot)
        return await apply(self.api, self.memory, self.cluster_config, snapshot, actions)
