"""The queue: each key once, one worker a key, again when asked, later after an error."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from flowkiln_operator.controller import work_queue
from flowkiln_operator.controller.work_queue import Key, Work, WorkQueue

from .operating import until

KEY: Key = ("team", "monthly")


@asynccontextmanager
async def working(
    work: Work, *, concurrency: int = 4, on_error: Callable[[Key, Exception], None] | None = None
) -> AsyncIterator[WorkQueue]:
    """Have a queue at work for the length of a `with` block."""
    queue = WorkQueue(work, concurrency, on_error or (lambda key, error: None))
    task = asyncio.create_task(queue.run())
    try:
        yield queue
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def test_a_key_that_is_added_often_is_worked_on_once() -> None:
    """Many events about one run are one look."""
    seen: list[Key] = []
    done = asyncio.Event()

    async def work(key: Key) -> None:
        seen.append(key)
        done.set()

    async with working(work) as queue:
        for _ in range(5):
            queue.add(KEY)
        await done.wait()
        await asyncio.sleep(0)
    assert seen == [KEY]


async def test_a_key_that_is_added_during_its_work_is_worked_on_once_more_and_never_twice_at_a_time() -> None:
    """What happens during a look is not missed, and two looks never overlap."""
    at_work = looks = 0
    begun, again, finished = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def work(key: Key) -> None:
        nonlocal at_work, looks
        at_work += 1
        assert at_work == 1
        looks += 1
        begun.set()
        if looks == 1:
            await again.wait()
        else:
            finished.set()
        at_work -= 1

    async with working(work) as queue:
        queue.add(KEY)
        await begun.wait()
        queue.add(KEY)
        queue.add(KEY)
        again.set()
        await finished.wait()
    assert looks == 2


async def test_other_keys_do_not_wait_for_a_slow_one() -> None:
    """One run's slow API call holds nobody up."""
    other = asyncio.Event()

    async def work(key: Key) -> None:
        if key == KEY:
            await asyncio.Event().wait()
        other.set()

    async with working(work, concurrency=2) as queue:
        queue.add(KEY)
        queue.add(("team", "other"))
        await other.wait()


async def test_work_says_when_to_look_again() -> None:
    """Deadlines need no event."""
    looks: list[datetime] = []
    done = asyncio.Event()

    async def work(key: Key) -> datetime | None:
        looks.append(datetime.now(UTC))
        if len(looks) == 2:
            done.set()
            return None
        return looks[0] + timedelta(milliseconds=20)

    async with working(work) as queue:
        queue.add(KEY)
        await done.wait()
    assert looks[1] - looks[0] >= timedelta(milliseconds=20)


async def test_a_failed_look_is_told_and_tried_again() -> None:
    """An exception costs neither the key nor the worker."""
    looks = 0
    told: list[str] = []
    done = asyncio.Event()

    async def work(key: Key) -> None:
        nonlocal looks
        looks += 1
        if looks == 1:
            raise ValueError("no luck")
        done.set()

    async with working(work, concurrency=1, on_error=lambda key, error: told.append(str(error))) as queue:
        queue.add(KEY)
        await done.wait()
    assert told == ["no luck"]


async def test_a_key_that_fails_for_ever_does_not_stop_the_queue(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its delay stays what it is; computed without a bound it would become too large for a number."""
    monkeypatch.setattr(work_queue, "FIRST_DELAY", 0.0)
    monkeypatch.setattr(work_queue, "PAUSE", 0.0)
    looks = 0
    often = asyncio.Event()

    async def work(key: Key) -> None:
        nonlocal looks
        looks += 1
        if looks > 1100:
            often.set()
        raise RuntimeError("poison")

    async with working(work) as queue:
        queue.add(KEY)
        await asyncio.wait_for(often.wait(), timeout=60)


async def test_events_that_pour_in_are_answered_together_after_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first at once; those of the pause that follows in one more look at its end, and none is missed."""
    monkeypatch.setattr(work_queue, "PAUSE", 0.05)
    loop = asyncio.get_running_loop()
    looks: list[float] = []
    added: list[float] = []

    async def work(key: Key) -> None:
        looks.append(loop.time())

    async with working(work) as queue:
        for _ in range(40):
            added.append(loop.time())
            queue.add(KEY)
            await asyncio.sleep(0.005)
        await until(lambda: queue.is_idle)
    assert len(looks) < len(added) / 2
    assert all(later - earlier >= 0.05 for earlier, later in pairwise(looks))
    assert looks[0] < added[1]
    assert looks[-1] > added[-1]


async def test_nothing_is_remembered_of_a_key_that_needs_nothing() -> None:
    """Once its pause is over."""

    async def work(key: Key) -> None:
        return None

    async with working(work) as queue:
        queue.add(KEY)
        await until(lambda: not queue.keys())


async def test_work_that_waits_for_nothing_gives_way() -> None:
    """Thousands of runs that need nothing are looked at when the operator starts; its health check is answered then."""
    seen: set[Key] = set()
    turns = 0

    async def work(key: Key) -> None:
        seen.add(key)

    async with working(work, concurrency=1) as queue:
        for number in range(500):
            queue.add(("team", str(number)))
        while len(seen) < 500:
            turns += 1
            await asyncio.sleep(0)
    assert turns > 100
