"""The waits between messages on clusters that are ours."""

from __future__ import annotations

from distributed import Client, LocalCluster

from flowkiln.engine.executors import DaskExecutor
from flowkiln.engine.executors.dask.tuning import INTERVAL


def test_our_own_cluster_waits_less_and_a_foreign_one_as_before() -> None:
    """Scheduler and workers of a cluster that we start send after a millisecond; another's settings are its own."""
    own = DaskExecutor(n_workers=1, threads_per_worker=1)
    with own.start() as client:
        assert set(_waits(client)) == {INTERVAL}
    with (
        LocalCluster(n_workers=1, threads_per_worker=1, processes=False, dashboard_address="127.0.0.1:0") as cluster,
        DaskExecutor(address=cluster.scheduler_address).start() as client,
    ):
        assert INTERVAL not in _waits(client)


def _waits(client: Client) -> list[float]:
    of_scheduler = client.run_on_scheduler(
        lambda dask_scheduler: [stream.interval for stream in dask_scheduler.stream_comms.values()]
    )
    of_workers = client.run(lambda dask_worker: dask_worker.batched_stream.interval)
    return [*of_scheduler, *of_workers.values()]
