"""A task whose body has not run does not succeed."""

from __future__ import annotations

import asyncio
import functools
import warnings
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from flowkiln import Flow, task
from flowkiln.engine.bodies.unstarted import unstarted
from flowkiln.engine.executors import DaskExecutor, Executor, LocalExecutor, SynchronousExecutor
from flowkiln.engine.state import Failed
from flowkiln.utilities.debug import raise_on_exception


async def coroutine() -> int:
    """Give a number to who awaits it."""
    return 1


async def asynchronous_rows() -> AsyncIterator[int]:
    """Give rows to who iterates."""
    yield 1


def rows() -> Iterator[int]:
    """Give rows to who iterates."""
    yield 1


class Opaque:
    """A value that does not answer questions about its attributes."""

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError(name)


def test_a_value_is_not_asked_for_attributes() -> None:
    """A value of a user's class, whose attributes may raise anything, is a value like others."""
    assert unstarted(rows, Opaque()) is None


class Later:
    """Something to be awaited."""

    def __await__(self) -> Iterator[None]:
        yield None


def passed_on(fn: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap a function without doing anything with what it returns."""
    return functools.wraps(fn)(lambda: fn())


def pending() -> asyncio.Future[int]:
    """Make a future of an event loop that is over."""
    loop = asyncio.new_event_loop()
    try:
        return loop.create_future()
    finally:
        loop.close()


@pytest.mark.parametrize(
    ("body", "advice"),
    [
        (lambda: coroutine(), "asyncio.run"),
        (passed_on(coroutine), "asyncio.run"),
        (lambda: Later(), "asyncio.run"),
        (lambda: pending(), "asyncio.run"),
        (passed_on(rows), "Return a list"),
        (passed_on(asynchronous_rows), "Return a list"),
    ],
    ids=["coroutine", "wrapped coroutine", "awaitable", "future", "wrapped generator", "wrapped async generator"],
)
def test_what_nobody_awaited_or_iterated_fails(body: Callable[..., Any], advice: str, any_executor: Executor) -> None:
    """The message says what to write; Python does not complain about a coroutine that was never awaited."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with Flow("f") as flow:
            made = task(body, name="body")()
        reached = flow.run(executor=any_executor).result[made]
    assert type(reached) is Failed
    assert advice in str(reached.message)


def test_it_is_raised_with_raise_on_exception() -> None:
    """As other errors of bodies are."""
    with Flow("f") as flow:
        task(lambda: coroutine())()
    with raise_on_exception(), pytest.raises(TypeError, match="nobody awaited"):
        flow.run()


@pytest.mark.parametrize("executor", [LocalExecutor(), SynchronousExecutor()], ids=["local", "synchronous"])
def test_iterators_that_were_made_elsewhere_are_results(executor: Executor) -> None:
    """Who takes one iterates; that they cannot travel between processes is another matter."""
    with Flow("f") as flow:
        totals = [
            task(lambda given: sum(given))(task(body)())
            for body in (lambda: (n for n in range(3)), lambda: iter([1, 2]), lambda: map(int, "12"), lambda: rows())
        ]
    final = flow.run(executor=executor)
    assert [final.result[each].result for each in totals] == [3, 3, 3, 1]


def test_what_dask_gives_need_not_be_awaited(dask_threads: DaskExecutor) -> None:
    """It can be, but is used without as well."""
    client = dask_threads.client
    assert client is not None
    future = client.submit(int, "1")
    assert unstarted(int, client) is None
    assert unstarted(int, future) is None
    assert future.result() == 1
