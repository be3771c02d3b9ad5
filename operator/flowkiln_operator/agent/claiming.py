"""Claim the run: read the FlowRun, decide, apply, and retry after a conflicting write."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from flowkiln.api.plan import PlanRun
from flowkiln_operator.agent import pacing
from flowkiln_operator.agent.api_client import FlowRunApi
from flowkiln_operator.agent.claim import Claimed, Refused, decide_claim
from flowkiln_operator.agent.projection.entry import compact_json
from flowkiln_operator.agent.projection.flow_status import Holder, opening_document
from flowkiln_operator.agent.reporter import status_body

logger = logging.getLogger("flowkiln.agent")


async def claim_run(api: FlowRunApi, run: PlanRun, cluster_number: int, holder: Holder) -> Claimed | Refused:
    """Claim the run, retrying while the API server is unavailable. The result has the written version."""
    failures = 0
    while True:
        answer = await api.get()
        if answer.is_missing(run.name):
            return Refused("the FlowRun is gone")
        if answer.ok:
            decision = decide_claim(answer.document, run=run, cluster_number=cluster_number, holder=holder)
            if isinstance(decision, Refused):
                return decision
            answer = await api.apply_status(
                status_body(run, decision.resource_version, claim_content(decision, holder))
            )
            if answer.ok:
                return replace(decision, resource_version=str(answer.document["metadata"]["resourceVersion"]))
        failures += 1
        logger.info("the run could not be claimed, trying again: %s", answer.reason)
        await asyncio.sleep(pacing.retry_delay(failures, answer.retry_after, jitter=pacing.random_jitter()))


def claim_content(claimed: Claimed, holder: Holder) -> bytes:
    """Return the status of a claim: the agent's part unchanged, with a new attempt and holder."""
    status: Mapping[str, Any] = {
        "flow": opening_document(claimed.flow, attempt=claimed.attempt, holder=holder),
        "tasks": claimed.tasks,
    }
    return compact_json(status).encode()
