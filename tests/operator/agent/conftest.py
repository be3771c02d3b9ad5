"""What the agent's tests share: the API server, credentials, a clock that moves when it is told to."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import AsyncIterator
from itertools import count
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from flowkiln.api.plan import PlanRun
from flowkiln_operator.agent.api_client import Credentials, FlowRunApi
from flowkiln_operator.agent.projection.flow_status import Holder
from tests.operator.agent.api_server import NAME, NAMESPACE, UID, ApiServer, running_api_server

# How long an example takes says nothing but how busy the machine is.
settings.register_profile("unhurried", settings(deadline=None, suppress_health_check=[HealthCheck.too_slow]))
settings.load_profile("unhurried")

RUN = PlanRun(namespace=NAMESPACE, name=NAME, uid=UID)
HOLDER = Holder("pod-uid", "Scheduler-1")


class ManualClock:
    """Time for the reporter; it stands still until `advance`, and no request is under way when it moves."""

    def __init__(self, api: FlowRunApi) -> None:
        self._api = api
        self._now = 1000.0
        self._order = count()
        self._sleepers: list[tuple[float, int, asyncio.Event]] = []

    def now(self) -> float:
        """Seconds."""
        return self._now

    async def sleep(self, seconds: float) -> None:
        """Wait until `advance` has come so far."""
        woken = asyncio.Event()
        heapq.heappush(self._sleepers, (self._now + seconds, next(self._order), woken))
        await woken.wait()

    async def advance(self, seconds: float) -> None:
        """Let time pass, and whoever sleeps wake in order."""
        await self.settle()
        until = self._now + seconds
        while self._sleepers and self._sleepers[0][0] <= until:
            self._now, _, woken = heapq.heappop(self._sleepers)
            woken.set()
            await self.settle()
        self._now = until
        await self.settle()

    async def settle(self) -> None:
        """Let requests come to their end, and what follows from them begin."""
        quiet = 0
        while quiet < 5:
            await asyncio.sleep(0.002)
            quiet = 0 if self._api._client.active else quiet + 1


@pytest.fixture
async def server() -> AsyncIterator[ApiServer]:
    """An API server with one FlowRun."""
    async with running_api_server() as api_server:
        yield api_server


@pytest.fixture
def credentials(tmp_path: Path) -> Credentials:
    """The files that the pod mounts."""
    (tmp_path / "token").write_text("first-token\n")
    (tmp_path / "ca.crt").write_text("")
    return Credentials(tmp_path / "token", tmp_path / "ca.crt")


@pytest.fixture
async def api(server: ApiServer, credentials: Credentials) -> AsyncIterator[FlowRunApi]:
    """The agent's client for that server."""
    client = FlowRunApi(server.url, NAMESPACE, NAME, credentials)
    yield client
    client.close()


@pytest.fixture
def clock(api: FlowRunApi) -> ManualClock:
    """A clock that stands still."""
    return ManualClock(api)
