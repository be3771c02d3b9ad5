"""Executors for the tests of the engine. Dask's clusters are made once and shared by all tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, Phase, settings

from flowkiln.common.configuration import config
from flowkiln.engine.executors import DaskExecutor, Executor, LocalExecutor, SynchronousExecutor

# How long an example takes says nothing but how busy the machine is. Explaining a failure traces the whole process,
# with all the threads of the shared clusters.
settings.register_profile(
    "unhurried",
    settings(
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow],
        phases=[phase for phase in Phase if phase is not Phase.explain],
    ),
)
settings.load_profile("unhurried")

IN_PROCESS = ["local", "synchronous", "dask_threads"]
EVERYWHERE = [*IN_PROCESS, "dask_processes"]


@pytest.fixture(autouse=True)
def _drivers_validate(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every driver of a run checks itself as it goes on."""
    monkeypatch.setitem(config.engine.driver, "validate", True)


@pytest.fixture(scope="session")
def dask_threads() -> Iterator[DaskExecutor]:
    """A started executor with a cluster of two threads in this process."""
    executor = DaskExecutor(local_processes=False, n_workers=1, threads_per_worker=2)
    with executor.start():
        yield executor


@pytest.fixture(scope="session")
def dask_processes() -> Iterator[DaskExecutor]:
    """A started executor with a cluster of two worker processes."""
    executor = DaskExecutor(local_processes=True, n_workers=2, threads_per_worker=1)
    with executor.start():
        yield executor


def _executor(request: pytest.FixtureRequest) -> Executor:
    match request.param:
        case "local":
            return LocalExecutor()
        case "synchronous":
            return SynchronousExecutor()
        case shared:
            executor: Executor = request.getfixturevalue(shared)
            return executor


@pytest.fixture(params=IN_PROCESS)
def executor(request: pytest.FixtureRequest) -> Executor:
    """Each executor that runs bodies in this process."""
    return _executor(request)


@pytest.fixture(params=EVERYWHERE)
def any_executor(request: pytest.FixtureRequest) -> Executor:
    """Each executor, one with worker processes too."""
    return _executor(request)
