"""A local cluster keeps its workers, whatever tasks do to them."""

from __future__ import annotations

from flowkiln.engine.executors import DaskExecutor


def test_a_worker_that_was_given_up_is_replaced() -> None:
    """Its nanny is gone too; a new one comes, and work goes on."""
    executor = DaskExecutor(local_processes=True, n_workers=1, threads_per_worker=1)
    with executor.start() as client:
        before = set(client.scheduler_info()["workers"])

        async def give_up() -> None:
            for worker in list(client.cluster.workers.values()):
                await worker.close()
            client.cluster.workers.clear()

        client.sync(give_up)
        assert executor.wait(executor.submit(lambda: "done")) == "done"
        assert not before & set(client.scheduler_info()["workers"])
