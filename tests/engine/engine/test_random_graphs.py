"""Random flows end alike on every executor."""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, given, settings

from flowkiln.engine.executors import DaskExecutor, LocalExecutor, SynchronousExecutor

from .graphs import Shape, build, ends, shapes

EXAMPLES = int(os.environ.get("FLOWKILN_TEST_EXAMPLES", "40"))
"""How many random flows are tried; set it to 200 for a thorough run."""


# Dask's threads draw random numbers while Hypothesis draws a flow; it takes them for the strategy's.
@pytest.mark.filterwarnings("ignore:Do not use the `random` module")
@settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(nodes=shapes())
def test_random_flows_end_alike_everywhere(
    dask_threads: DaskExecutor, dask_processes: DaskExecutor, nodes: tuple[Shape, ...]
) -> None:
    """Same flow state, same task states, same results, children one by one."""
    flow, tasks = build(nodes)
    expected = ends(flow.run(executor=LocalExecutor()), tasks)
    for executor in (SynchronousExecutor(), dask_threads, dask_processes):
        assert ends(flow.run(executor=executor), tasks) == expected
