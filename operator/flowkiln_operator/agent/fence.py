"""The one place that knows whether the run is still this agent's."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from flowkiln_operator.agent.api_client import Answer

DENIAL_SECONDS = 5.0
"""Seconds of nothing but 401 and 403 after which they are taken at their word."""


class Fence:
    """Open while the run is ours; once closed it stays closed, and nothing is submitted or written any more."""

    def __init__(self, name: str, clock: Callable[[], float]) -> None:
        """`name` is the FlowRun's; `clock` gives seconds."""
        self._name = name
        self._clock = clock
        self._denied_since: float | None = None
        self._closed = asyncio.Event()
        self.why = ""
        self.is_denied = False
        """Whether it closed because the API server lets us do nothing, which says nothing about the run."""

    @property
    def is_closed(self) -> bool:
        """Whether the run is lost to this agent."""
        return self._closed.is_set()

    def close(self, why: str) -> None:
        """Give the run up; the first reason stands."""
        if not self.is_closed:
            self.why = why
            self._closed.set()

    async def wait(self) -> None:
        """Wait until it is closed."""
        await self._closed.wait()

    def judge(self, answer: Answer) -> None:
        """Learn from what the API server said, whatever the request was."""
        if answer.code in (401, 403):
            # The token is read again each time, and the garbage collector takes our rights just before the FlowRun.
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
