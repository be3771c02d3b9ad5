"""What a worker tells just before its process ends, when it is slow to send."""

from __future__ import annotations

import time

from distributed import Worker, WorkerPlugin

from flowkiln import Flow, task
from flowkiln.engine.executors import DaskExecutor
from flowkiln.engine.runs.conductor import Conductor


class SlowToSend(WorkerPlugin):  # type: ignore[misc]
    """Has a worker collect what it sends for longer than its process lives on, as one that gets little CPU would."""

    name = "slow-to-send"

    def setup(self, worker: Worker) -> None:
        """Slow it down."""
        worker.batched_stream.interval = 30.0


@task(timeout=1)
def unstoppable() -> None:
    """Stay in a C call far longer than the deadline."""
    time.sleep(120)


def test_why_a_worker_ends_itself_is_known_before_it_does() -> None:
    """The task is TimedOut at the first try; unheard, it would be run again as one whose worker was lost."""
    executor = DaskExecutor(local_processes=True, n_workers=1, threads_per_worker=1)
    with executor.start() as client:
        client.register_plugin(SlowToSend())
        with Flow("stuck") as flow:
            stuck = unstoppable()
        state = Conductor(flow, executor, return_tasks=(stuck,)).run()
    assert type(state.result[stuck]).__name__ == "TimedOut"
