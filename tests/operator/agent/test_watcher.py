"""The watch on the FlowRun: deletion and replacement close the fence, other changes lead to a look."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from flowkiln_operator.agent.api_client import FlowRunApi
from flowkiln_operator.agent.fence import Fence
from flowkiln_operator.agent.watcher import watch_flow_run
from tests.operator.agent.api_server import NAME, UID, ApiServer, Problem

SOON = 60


@asynccontextmanager
async def watching(server: ApiServer, api: FlowRunApi) -> AsyncIterator[tuple[Fence, asyncio.Queue[str]]]:
    """A watch that has begun; the queue gets the versions that it saw."""
    fence, seen = Fence(NAME, time.monotonic), asyncio.Queue[str]()
    task = asyncio.ensure_future(watch_flow_run(api, UID, fence, seen.put_nowait))
    try:
        await asyncio.wait_for(seen.get(), SOON)
        await asyncio.wait_for(server.watched.wait(), SOON)
        yield fence, seen
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _replace(server: ApiServer) -> None:
    await server.replace("another-uid")


@pytest.mark.parametrize(
    ("end", "why"),
    [
        (ApiServer.delete, "the FlowRun is deleted"),
        (ApiServer.mark_deleted, "the FlowRun is being deleted"),
        (_replace, "the FlowRun is deleted"),
    ],
)
async def test_the_end_of_the_flow_run_is_seen(
    end: Callable[[ApiServer], Awaitable[None]], why: str, server: ApiServer, api: FlowRunApi
) -> None:
    """No write is needed to notice: the event alone closes the fence."""
    async with watching(server, api) as (fence, _):
        await end(server)
        await asyncio.wait_for(fence.wait(), SOON)
        assert fence.why == why


async def test_a_change_is_passed_on(server: ApiServer, api: FlowRunApi) -> None:
    """Each change comes with its version, so that the reporter knows its own writes."""
    async with watching(server, api) as (fence, seen):
        await server.edit(state="Running")
        assert await asyncio.wait_for(seen.get(), SOON) == str(server.version)
        assert not fence.is_closed


async def test_a_deletion_while_the_watch_is_away_is_seen(server: ApiServer, api: FlowRunApi) -> None:
    """A watch that cannot be had is tried again, and each round begins with a look."""
    server.problems["GET"] = [Problem(500), Problem(503), Problem(401)]
    async with watching(server, api) as (fence, _):
        server.standing["GET"] = Problem(503)
        await server.delete()
        del server.standing["GET"]
        await asyncio.wait_for(fence.wait(), SOON)


async def test_only_metadata_travels(server: ApiServer, api: FlowRunApi) -> None:
    """The agent asks for no spec and no status when it watches, whatever their size."""
    async with watching(server, api):
        assert all("as=PartialObjectMetadata" in request.headers["Accept"] for request in server.requests)


async def test_rights_that_are_gone_for_good_end_the_watch(server: ApiServer, api: FlowRunApi) -> None:
    """Garbage collection may take the ServiceAccount first; five seconds of refusals are the end."""
    times = iter([0.0, 3.0, 6.0])
    fence = Fence(NAME, times.__next__)
    server.standing["GET"] = Problem(401, "Unauthorized")
    await asyncio.wait_for(watch_flow_run(api, UID, fence, lambda version: None), SOON)
    assert sum(request.problem == 401 for request in server.requests) == 3
    assert "Unauthorized" in fence.why


async def test_a_refused_watch_says_why(server: ApiServer, api: FlowRunApi) -> None:
    """The Status that comes where events would be is the answer's document."""
    server.problems["GET"] = [Problem(403, "watch is forbidden")]
    answers = [event async for event in api.watch("1")]
    assert [(getattr(answer, "code", None), getattr(answer, "reason", "")) for answer in answers] == [
        (403, "403 watch is forbidden")
    ]
