"""The fence: whether this agent still holds the run."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from flowkiln_operator.agent.api_client import Answer

DENIAL_SECONDS = 5.0
"""Seconds of only 401 and 403 responses after which they count as final."""


class Fence:
    """Open while this agent holds the run. Once closed it stays closed, and all submissions and writes stop."""

    def __init__(self, name: str, clock: Callable[[], float]) -> None:
        """`name` is that of the FlowRun; `clock` returns seconds."""
        self._name = name
        self._clock = clock
        self._denied_since: float | None = None
        self._closed = asyncio.Event()
        self.why = ""
        self.is_denied = False
        """Whether it closed because the API server refuses all requests, which says nothing about the run."""

    @property
    def is_closed(self) -> bool:
        """Return whether this agent has lost the run."""
        return self._closed.is_set()

    def close(self, why: str) -> None:
        """Close the fence; the first reason is kept."""
        if not self.is_closed:
            self.why = why
            self._closed.set()

    async def wait(self) -> None:
        """Wait until the fence is closed."""
        await self._closed.wait()

    def judge(self, answer: Answer) -> None:
        """Update the fence from any response of the API server."""
        if answer.code in (401, 403):
            # The token is read for every request, and the garbage collector deletes the Role just before the FlowRun.
            now = self._clock()
            if self._denied_since is None:
                self._denied_since = now
            elif now - self._denied_since >= DENIAL_SECONDS:
                self.is_denied = not self.is_closed
                self.close(f"the API server has refused everything for {DENIAL_SECONDS:.0f} s: {answer.reason}")
            return
        self._denied_since = None
        if answer.is_missing(self._name):
            self.close("the FlowRun is gone")
