"""One engine process from its start to the end of its run: claim, load, run, report."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import Any

from flowkiln.api.plan import Plan
from flowkiln.api.reasons import FlowReason, FlowState
from flowkiln.core.local_ids import local_ids
from flowkiln.states.records import record_of_flow
from flowkiln.states.state import kind_of
from flowkiln_operator.agent.api_client import Credentials, FlowRunApi
from flowkiln_operator.agent.claim import Claimed, Refused
from flowkiln_operator.agent.claiming import claim_run
from flowkiln_operator.agent.engine_thread import EngineThread, make_conductor
from flowkiln_operator.agent.fence import Fence
from flowkiln_operator.agent.flow_loading import load_flow
from flowkiln_operator.agent.json_logs import JsonLines
from flowkiln_operator.agent.plan_file import UnusablePlan, read_plan
from flowkiln_operator.agent.progress import ClosedRun, Progress
from flowkiln_operator.agent.projection.flow_status import Holder, RunSummary, final_summary
from flowkiln_operator.agent.projection.table import display_message
from flowkiln_operator.agent.recovery import decide_recovery
from flowkiln_operator.agent.reporter import Claim, Reporter
from flowkiln_operator.agent.scheduler import SchedulerLink
from flowkiln_operator.agent.settings import Settings
from flowkiln_operator.agent.watcher import watch_flow_run
from flowkiln_operator.status.closing import state_of_unfinished

logger = logging.getLogger("flowkiln.agent")

STUCK_AFTER = 120.0
"""Seconds without progress during a report after which the reporter counts as stuck."""
RUN_COUNT = 1
"""Number of times that the flow is run in one FlowRun."""


class DeniedError(Exception):
    """The API server refuses all requests of this process."""


class Health:
    """The health of the engine process."""

    def __init__(self) -> None:
        self.reporter: Reporter | None = None
        self.engine: EngineThread | None = None

    def check(self) -> str | None:
        """Return what is wrong, or None."""
        if self.engine is not None and self.engine.is_missing:
            return "the engine's thread is gone"
        if self.reporter is not None and self.reporter.busy:
            still = time.monotonic() - self.reporter.beat
            if still > STUCK_AFTER:
                return f"the reporter has made no progress for {still:.0f} s"
        return None


async def drive(settings: Settings, formatter: JsonLines, health: Health) -> str:
    """Drive the run of the plan to its end, and return why this process has nothing more to do.

    Raise DeniedError if the API server refuses all requests.
    """
    plan = read_plan(settings.plan.read_bytes())
    run = plan.run
    formatter.run = f"{run.namespace}/{run.name}"
    link = SchedulerLink(settings.scheduler)
    holder = Holder(settings.pod_uid, await link.wait_for_identity())
    api = FlowRunApi(settings.api_server, run.namespace, run.name, Credentials(settings.token, settings.ca))
    claimed = await claim_run(api, run, settings.cluster_number, holder)
    if isinstance(claimed, Refused):
        return claimed.why
    logger.info("claimed the run: attempt %d on scheduler %s", claimed.attempt, holder.scheduler_id)
    claim = Claim(run, settings.cluster_number, holder, claimed.attempt)
    fence = Fence(run.name, time.monotonic)
    reporter = health.reporter = Reporter(api, claim, fence, claimed.resource_version)
    checks: set[asyncio.Task[None]] = set()

    def check_soon(resource_version: str) -> None:
        check = asyncio.ensure_future(reporter.check_soon(resource_version))
        checks.add(check)
        check.add_done_callback(checks.discard)

    watch = asyncio.ensure_future(watch_flow_run(api, run.uid, fence, check_soon))
    try:
        if isinstance(plan, UnusablePlan):
            summary = RunSummary(FlowState.CRASHED, FlowReason.AGENT_VERSION, plan.why)
            await _end_at_once(reporter, summary, claimed)
        elif end := decide_recovery(claimed.start, restarts=settings.restarts, last_exit=settings.last_exit):
            await _end_at_once(reporter, end, claimed)
        else:
            await _load_and_run(plan, claimed, link, reporter, fence, health)
    finally:
        watch.cancel()
    if fence.is_denied:
        # The run may not be over: restart, and report its outcome once the API server accepts requests again.
        raise DeniedError(fence.why)
    return fence.why or "the run is over and reported"


async def _end_at_once(reporter: Reporter, summary: RunSummary, claimed: Claimed) -> None:
    logger.error("the run ends here: %s", summary.message)
    reporter.finish(summary)
    await reporter.run(ClosedRun(summary, claimed.flow, claimed.tasks), RUN_COUNT)


async def _load_and_run(
    plan: Plan, claimed: Claimed, link: SchedulerLink, reporter: Reporter, fence: Fence, health: Health
) -> None:
    flow = await asyncio.to_thread(load_flow, plan)
    if isinstance(flow, RunSummary):
        await _end_at_once(reporter, flow, claimed)
        return
    progress = Progress(list(local_ids(flow).values()), reporter.changed)
    # Before anything is submitted: a runCount in the status tells later processes that results may exist.
    await reporter.report(progress, RUN_COUNT)
    if fence.is_closed:
        return
    scheduler_id = reporter.claim.holder.scheduler_id
    engine = health.engine = EngineThread(make_conductor(plan, flow, link.address, progress))
    reporting = asyncio.ensure_future(reporter.run(progress, RUN_COUNT))
    try:
        summary = await _until_over(engine, link, scheduler_id, fence, progress)
        if summary is not None:
            reporter.finish(summary)
            await reporting
    finally:
        reporting.cancel()
    if fence.is_closed:
        logger.warning("the run is not ours any more, ending its work: %s", fence.why)
        engine.terminate()
        await link.end_workers()


async def _until_over(
    engine: EngineThread, link: SchedulerLink, scheduler_id: str, fence: Fence, progress: Progress
) -> RunSummary | None:
    """Wait for the end of the run, the loss of the scheduler, or the loss of the claim (None)."""
    looking = asyncio.ensure_future(link.wait_until_lost(scheduler_id))
    fenced = asyncio.ensure_future(fence.wait())
    ends: list[asyncio.Future[Any]] = [engine.ended, looking, fenced]
    try:
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        if fence.is_closed:
            return None
        lost = looking.result() if looking.done() else None
    finally:
        looking.cancel()
        fenced.cancel()
    if lost is None and not engine.has_succeeded:
        # Without its scheduler the engine only sees failures.
        lost = await link.is_lost(scheduler_id)
    if lost is not None:
        engine.terminate()
        return _closed(progress, RunSummary(FlowState.CRASHED, FlowReason.CLUSTER_LOST, lost))
    if (error := engine.ended.exception()) is not None:
        logger.error("the engine failed", exc_info=error)
        message = f"the engine failed: {type(error).__name__}: {error}"
        return _closed(progress, RunSummary(FlowState.CRASHED, FlowReason.CLUSTER_LOST, message))
    state = engine.ended.result()
    message = display_message(record_of_flow(state))
    if isinstance(state.result, OSError):
        # Not an error of a task, which would be in the task's state: the engine lost the connection to Dask.
        return _closed(progress, RunSummary(FlowState.CRASHED, FlowReason.CLUSTER_LOST, message))
    ended = final_summary(kind_of(state), message, progress.first_failure())
    was_cut_off = isinstance(state.result, BaseException) or ended.state in (FlowState.CANCELLED, FlowState.CRASHED)
    return _closed(progress, ended) if was_cut_off else ended


def _closed(progress: Progress, summary: RunSummary) -> RunSummary:
    """Return the final summary after closing all unfinished task runs, which nothing drives any more."""
    progress.close(str(state_of_unfinished(summary.state)))
    return summary
