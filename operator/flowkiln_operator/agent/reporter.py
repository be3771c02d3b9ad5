"""Write the run's status: soon after a change, less often if writes are expensive, never after the run is lost."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections import deque
from collections.abc import Coroutine
from dataclasses import dataclass
from enum import Enum
from typing import Any, Protocol

from flowkiln.api import API_VERSION
from flowkiln.api.limits import MAX_STATUS_BYTES
from flowkiln.api.names import FLOW_RUN_KIND
from flowkiln.api.plan import PlanRun
from flowkiln_operator.agent import pacing
from flowkiln_operator.agent.api_client import Answer, FlowRunApi
from flowkiln_operator.agent.claim import lost
from flowkiln_operator.agent.fence import Fence
from flowkiln_operator.agent.progress import Source
from flowkiln_operator.agent.projection.entry import compact_json
from flowkiln_operator.agent.projection.flow_status import Holder, RunSummary, flow_document

logger = logging.getLogger("flowkiln.agent")

FLOW_ROOM = 16 * 1024
"""Bytes of the budget reserved for `status.flow` and the surrounding document."""
_SETTLE = 0.5
"""Seconds to wait for the answer of an own write before a change counts as somebody else's."""


class Clock(Protocol):
    """The clock of the reporter."""

    def now(self) -> float:
        """Return monotonic seconds."""

    async def sleep(self, seconds: float) -> None:
        """Wait."""


class SystemClock:
    """The real time."""

    def now(self) -> float:
        """Return seconds since the system started."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await asyncio.sleep(seconds)


@dataclass(frozen=True, slots=True)
class Claim:
    """The run and this agent's claim on it."""

    run: PlanRun
    cluster_number: int
    holder: Holder
    attempt: int


class _Next(Enum):
    DONE = "done"
    AGAIN = "again"
    SMALLER = "smaller"
    REJECTED = "rejected"


class Reporter:
    """Reports one run from a `Source`. Not thread-safe, except `changed`."""

    def __init__(
        self,
        api: FlowRunApi,
        claim: Claim,
        fence: Fence,
        resource_version: str,
        clock: Clock | None = None,
        gather: float = pacing.GATHER,
    ) -> None:
        self._api = api
        self._gather = gather
        self.claim = claim
        self._fence = fence
        self._clock = clock or SystemClock()
        self._resource_version = resource_version
        self._written_versions: deque[str] = deque([resource_version], maxlen=16)
        self._loop = asyncio.get_running_loop()
        self._dirty = asyncio.Event()
        self._ending = asyncio.Event()
        self._final: RunSummary | None = None
        self._budget = MAX_STATUS_BYTES - FLOW_ROOM
        self._last_body: bytes | None = None
        self._next_write = self._clock.now()
        self.beat = self._clock.now()
        """Time of the last progress; updated every few seconds while the reporter is busy."""
        self.busy = False
        """Whether the reporter is busy."""

    def changed(self) -> None:
        """Request a report. Thread-safe."""
        if not self._dirty.is_set():
            self._loop.call_soon_threadsafe(self._dirty.set)

    async def run(self, source: Source, run_count: int) -> None:
        """Report until the final report is written, or the fence closes."""
        while not self._fence.is_closed:
            await _first_of(self._dirty.wait(), self._ending.wait(), self._fence.wait())
            if self._final is None:
                # The final report is written at once; other changes are batched.
                pause = max(self._next_write - self._clock.now(), self._gather)
                if pause > 0:
                    await _first_of(self._clock.sleep(pause), self._ending.wait(), self._fence.wait())
            self._dirty.clear()
            if await self.report(source, run_count):
                return

    def finish(self, summary: RunSummary) -> None:
        """Make the next report the final one; `run` returns once it is written."""
        self._final = summary
        self._ending.set()

    async def check_soon(self, resource_version: str) -> None:
        """Check that this agent still holds the run, unless its own write caused this resource version."""
        await self._clock.sleep(_SETTLE)
        if resource_version not in self._written_versions and not self._fence.is_closed:
            await self._refresh()

    async def report(self, source: Source, run_count: int) -> bool:
        """Write one report, until it is written or the fence closes; return whether it was the final one."""
        try:
            return await self._report(source, run_count)
        finally:
            self.busy = False

    async def _report(self, source: Source, run_count: int) -> bool:
        failures = 0
        while not self._fence.is_closed:
            self.busy, self.beat = True, self._clock.now()
            # Rendered for every try, so it includes changes during an outage of the API server.
            final = self._final
            content, size = self._content(source, run_count, final)
            if content == self._last_body:
                return final is not None
            started = self._clock.now()
            answer = await self._api.apply_status(self._framed(content))
            self._fence.judge(answer)
            match self._judge(answer):
                case _Next.DONE:
                    self._last_body = content
                    self._next_write = started + pacing.interval_after(answer.seconds, size)
                    if final is self._final:
                        return final is not None
                    failures = 0
                case _Next.SMALLER:
                    self._budget //= 2
                    logger.warning("the status was rejected (%s); retrying with less", answer.reason)
                case _Next.REJECTED:
                    logger.error("the status was rejected: %s", answer.reason)
                    self._next_write = started + pacing.MAX_INTERVAL
                    if final is None and self._final is None:
                        return False
                    if final is not None:
                        # Without the final report the run never ends; the cause of the rejection may be fixed.
                        await _first_of(self._clock.sleep(pacing.MAX_INTERVAL), self._fence.wait())
                case _Next.AGAIN:
                    failures += 1
                    if answer.code == 409:
                        await self._refresh()
                    if failures > 1 or answer.code != 409:
                        logger.warning("the status could not be written, trying again: %s", answer.reason)
                        delay = pacing.retry_delay(failures, answer.retry_after, jitter=pacing.random_jitter())
                        await _first_of(self._clock.sleep(delay), self._fence.wait())
        return False

    def _judge(self, answer: Answer) -> _Next:
        if answer.ok:
            metadata = answer.document.get("metadata") or {}
            if metadata.get("deletionTimestamp"):
                self._fence.close("the FlowRun is being deleted")
            self._resource_version = str(metadata.get("resourceVersion", self._resource_version))
            self._written_versions.append(self._resource_version)
            return _Next.DONE
        if pacing.is_retried(answer.code) or answer.code in (401, 403, 404):
            return _Next.AGAIN
        return _Next.SMALLER if self._budget > FLOW_ROOM else _Next.REJECTED

    async def _refresh(self) -> None:
        """Read the FlowRun again; if this agent still holds it, continue from its current version."""
        answer = await self._api.get()
        self._fence.judge(answer)
        if not answer.ok:
            return
        claim = self.claim
        why = lost(answer.document, run=claim.run, cluster_number=claim.cluster_number, holder=claim.holder)
        if why is not None:
            self._fence.close(why)
            return
        self._resource_version = str(answer.document["metadata"]["resourceVersion"])
        self._written_versions.append(self._resource_version)

    def _content(self, source: Source, run_count: int, final: RunSummary | None) -> tuple[bytes, int]:
        snapshot = source.snapshot(self._budget)
        flow = flow_document(
            final or snapshot.summary,
            snapshot.counts,
            run_count=run_count,
            attempt=self.claim.attempt,
            holder=self.claim.holder,
        )
        content = f'{{"flow":{compact_json(flow)},"tasks":{snapshot.tasks}}}'.encode()
        return content, len(content)

    def _framed(self, content: bytes) -> bytes:
        return status_body(self.claim.run, self._resource_version, content)


def status_body(run: PlanRun, resource_version: str, content: bytes) -> bytes:
    """Return the body of a status apply. The resource version makes the API server reject it after another write."""
    frame = {
        "apiVersion": API_VERSION,
        "kind": FLOW_RUN_KIND,
        "metadata": {"namespace": run.namespace, "name": run.name, "resourceVersion": resource_version},
    }
    head = json.dumps(frame, separators=(",", ":")).encode()
    return head[:-1] + b',"status":' + content + b"}"


async def _first_of(*waits: Coroutine[Any, Any, Any]) -> None:
    """Wait until one of them is done, and cancel the others."""
    tasks = [asyncio.ensure_future(wait) for wait in waits]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
