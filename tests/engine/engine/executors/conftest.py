"""Workers of these tests' own clusters are forked: they die by the dozen, and a spawned one needs a second of CPU."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator

import dask
import pytest
from distributed import utils


@pytest.fixture(scope="package", autouse=True)
def _forked_workers() -> Iterator[None]:
    """Fork workers from a process that has imported what they need. It has the environment of its own start."""
    # Dask's own list has numpy and pandas, and the first cluster of a process sets it.
    utils._forkserver_preload_set = True
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["flowkiln.engine.executors.dask.worker", "flowkiln.engine.executors.dask.shutdown"])
    with dask.config.set({"distributed.worker.multiprocessing-method": "forkserver"}):
        yield
