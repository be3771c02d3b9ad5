"""Watch the FlowRun: its deletion ends all work within seconds, even if the operator is down."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

from flowkiln_operator.agent import pacing
from flowkiln_operator.agent.api_client import Answer, FlowRunApi
from flowkiln_operator.agent.claim import gone
from flowkiln_operator.agent.fence import Fence

logger = logging.getLogger("flowkiln.agent")

MAX_PAUSE = 2.0
"""Maximum seconds between two attempts to watch the FlowRun."""


async def watch_flow_run(api: FlowRunApi, uid: str, fence: Fence, on_change: Callable[[str], None]) -> None:
    """Watch until the fence closes; close it when the FlowRun is deleted or replaced.

    `on_change` gets the resource version of every change except the deletion.
    """
    failures = 0
    while not fence.is_closed:
        answer = await api.get_metadata()
        fence.judge(answer)
        if answer.ok and _look(answer.document, uid, fence):
            on_change(_version(answer.document))
            answer = await _follow(api, _version(answer.document), uid, fence, on_change)
        failures = 0 if answer.ok else failures + 1
        if failures:
            logger.info("the FlowRun cannot be watched, trying again: %s", answer.reason)
        if not fence.is_closed:
            await asyncio.sleep(min(MAX_PAUSE, pacing.retry_delay(failures + 1)))


async def _follow(api: FlowRunApi, version: str, uid: str, fence: Fence, on_change: Callable[[str], None]) -> Answer:
    """Run one watch, and return the answer that ended it."""
    events = api.watch(version)
    try:
        async for event in events:
            if isinstance(event, Answer):
                fence.judge(event)
                return event
            flow_run = event.get("object") or {}
            match event.get("type"):
                case "DELETED" if flow_run.get("metadata", {}).get("uid") == uid:
                    fence.close("the FlowRun is deleted")
                case "ADDED" | "MODIFIED":
                    if _look(flow_run, uid, fence):
                        on_change(_version(flow_run))
                case "ERROR":
                    # Usually the version is too old: the next round reads the current one.
                    return Answer(flow_run.get("code"), flow_run)
            if fence.is_closed:
                break
    finally:
        await events.aclose()
    return Answer(200, {})


def _look(flow_run: dict[str, Any], uid: str, fence: Fence) -> bool:
    if why := gone(flow_run.get("metadata") or {}, uid):
        fence.close(why)
    return not fence.is_closed


def _version(flow_run: dict[str, Any]) -> str:
    return str((flow_run.get("metadata") or {}).get("resourceVersion", ""))
