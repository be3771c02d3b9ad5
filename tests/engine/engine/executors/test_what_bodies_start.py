"""What a body may start: processes, threads, event loops. Alike on every executor."""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import os
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import pytest

from flowkiln import Flow, task
from flowkiln.engine.executors import DaskExecutor, Executor


def square(number: int) -> int:
    """Compute something in another process."""
    return number * number


async def _three() -> int:
    await asyncio.sleep(0)
    return 3


def _process_pool_executor() -> list[int]:
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as pool:
        return list(pool.map(square, [1, 2, 3]))


def _pool() -> list[int]:
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.map(square, [1, 2, 3])


def _process() -> int | None:
    process = multiprocessing.get_context("spawn").Process(target=square, args=(2,))
    process.start()
    process.join()
    return process.exitcode


def _asyncio_run() -> int:
    return asyncio.run(_three())


def _child_exit_code(in_child: Callable[[], Any]) -> Callable[[], int]:
    def body() -> int:
        child = os.fork()
        if child == 0:
            in_child()
            return -1
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

    return body


def _raise() -> None:
    with contextlib.redirect_stderr(open(os.devnull, "w", encoding="utf-8")):
        raise ValueError("in the child")


STARTED: dict[str, tuple[Callable[[], Any], Any]] = {
    "ProcessPoolExecutor": (_process_pool_executor, [1, 4, 9]),
    "Pool": (_pool, [1, 4, 9]),
    "Process": (_process, 0),
    "asyncio.run": (_asyncio_run, 3),
    "a fork that returns": (_child_exit_code(lambda: None), 0),
    "a fork that raises": (_child_exit_code(_raise), 1),
    "a fork that exits": (_child_exit_code(lambda: sys.exit(7)), 7),
    "a fork that exits with a text": (_child_exit_code(lambda: sys.exit("said")), 1),
}


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
@pytest.mark.parametrize("started", STARTED)
def test_what_a_body_starts(any_executor: Executor, started: str) -> None:
    """It works, and what is forked does not go on with the flow: the task after it runs once, in one process."""
    body, expected = STARTED[started]
    with Flow("starts") as flow:
        result = task(body, name="body")()
        after = task(os.getpid)(upstream_tasks=[result])
    state = flow.run(executor=any_executor)
    assert state.is_successful(), state.result[result].message
    assert state.result[result].result == expected
    assert isinstance(state.result[after].result, int)


def _loop_of_thread() -> int:
    return asyncio.get_event_loop().run_until_complete(_three())


def _run_and_close() -> int:
    asyncio.get_event_loop().close()
    return asyncio.run(_three())


def test_worker_processes_have_event_loops(dask_processes: DaskExecutor) -> None:
    """`asyncio.get_event_loop()` gives one that runs, also after others have closed theirs."""
    with Flow("loops") as flow:
        first = task(_loop_of_thread)()
        closed = task(_run_and_close)(upstream_tasks=[first])
        last = task(_loop_of_thread)(upstream_tasks=[closed])
    state = flow.run(executor=dask_processes)
    assert [state.result[one].result for one in (first, closed, last)] == [3, 3, 3]
