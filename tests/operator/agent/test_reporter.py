"""The reporter against an API server over HTTP, on a clock that the test moves."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest

from flowkiln.api.reasons import FlowReason, FlowState
from flowkiln.api.status import FlowRunStatus
from flowkiln_operator.agent import pacing
from flowkiln_operator.agent.api_client import Answer, FlowRunApi
from flowkiln_operator.agent.fence import Fence
from flowkiln_operator.agent.progress import Progress
from flowkiln_operator.agent.projection.flow_status import RunSummary
from flowkiln_operator.agent.reporter import Claim, Reporter
from tests.operator.agent.api_server import NAME, ApiServer, Problem
from tests.operator.agent.conftest import HOLDER, RUN, ManualClock
from tests.operator.agent.records import plain

DONE = RunSummary(FlowState.SUCCESS, FlowReason.SUCCEEDED, "All reference tasks succeeded.")


@dataclass
class Running:
    """A reporter at work."""

    server: ApiServer
    reporter: Reporter
    progress: Progress
    fence: Fence
    task: asyncio.Task[None]

    def states(self) -> list[str]:
        """`status.flow.state` of each write."""
        return [status["flow"]["state"] for status in self.server.writes]

    def task_states(self) -> list[str]:
        """The state of task `a` in each write."""
        return [status["tasks"][0]["state"] for status in self.server.writes]


@asynccontextmanager
async def reporting(
    server: ApiServer, api: FlowRunApi, clock: ManualClock, *, gather: float = 0.0
) -> AsyncIterator[Running]:
    """A reporter of a run of two tasks that has been claimed."""
    server.status["flow"] = {"state": "Running", "reason": "Running", "attempt": 1, "holder": HOLDER.document()}
    fence = Fence(NAME, clock.now)
    reporter = Reporter(api, Claim(RUN, 1, HOLDER, attempt=1), fence, str(server.version), clock, gather)
    progress = Progress(["a", "b"], reporter.changed)
    task = asyncio.ensure_future(reporter.run(progress, 1))
    await clock.settle()
    try:
        yield Running(server, reporter, progress, fence, task)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_a_short_task_costs_one_write(server: ApiServer, api: FlowRunApi, clock: ManualClock) -> None:
    """News after some quiet wait a moment for more; the report is a whole and valid status."""
    async with reporting(server, api, clock, gather=0.5) as run:
        run.progress.on_task_runs([plain("a", "Running")])
        await clock.settle()
        await clock.advance(0.4)
        assert run.states() == []
        run.progress.on_task_runs([plain("a", "Success")])
        await clock.settle()
        await clock.advance(0.1)
        assert run.states() == ["Running"]
        status = FlowRunStatus.model_validate(server.writes[0])
        assert status.flow is not None
        assert status.flow.counts == {"Pending": 1, "Success": 1}
        assert status.flow.message == "1 of 2 task runs are to start"
        assert [task.name for task in status.tasks] == ["a", "b"]


async def test_changes_within_a_second_travel_together(server: ApiServer, api: FlowRunApi, clock: ManualClock) -> None:
    """Writes are a second apart however much happens, and the last state is what arrives."""
    async with reporting(server, api, clock) as run:
        for state in ("Running", "Retrying", "Running", "Failed"):
            run.progress.on_task_runs([plain("a", state)])
            await clock.settle()
        assert run.task_states() == ["Running"]
        await clock.advance(1.0)
        assert run.task_states() == ["Running"]
        await clock.advance(0.1)
        assert run.task_states() == ["Running", "Failed"]


async def test_nothing_is_written_without_news(server: ApiServer, api: FlowRunApi, clock: ManualClock) -> None:
    """A run that goes on for hours in silence costs no writes; nor do records that change nothing."""
    async with reporting(server, api, clock) as run:
        run.progress.on_task_runs([plain("a", "Running")])
        await clock.settle()
        await clock.advance(3600)
        run.progress.on_task_runs([plain("a", "Running")])
        await clock.advance(3600)
        assert len(server.writes) == 1


async def test_the_end_does_not_wait(server: ApiServer, api: FlowRunApi, clock: ManualClock) -> None:
    """The final report goes out at once, carries the final state, and is the last one."""
    async with reporting(server, api, clock) as run:
        run.progress.on_task_runs([plain("a", "Running")])
        await clock.settle()
        run.progress.on_task_runs([plain("a", "Success"), plain("b", "Success")])
        run.reporter.finish(DONE)
        await run.task
        assert run.states() == ["Running", "Success"]
        final = server.writes[-1]["flow"]
        assert final["progress"] == "2/2"
        assert final["message"] == DONE.message
        assert final["holder"] == HOLDER.document()


async def test_an_end_during_a_write_is_still_written(server: ApiServer, api: FlowRunApi, clock: ManualClock) -> None:
    """A run that ends while a report is on its way gets its final report after it."""
    async with reporting(server, api, clock) as run:
        server.problems["PATCH"] = [Problem(503)]
        run.progress.on_task_runs([plain("a", "Running")])
        await clock.settle()
        run.reporter.finish(DONE)
        await clock.advance(10)
        await run.task
        assert run.states() == ["Success"]


@pytest.mark.parametrize("code", [429, 500, 503, 504])
async def test_a_server_in_trouble_is_asked_again(
    code: int, server: ApiServer, api: FlowRunApi, clock: ManualClock
) -> None:
    """Errors that pass are waited out with growing pauses, and then the present state is written, not the old one."""
    async with reporting(server, api, clock) as run:
        server.problems["PATCH"] = [Problem(code)] * 3
        run.progress.on_task_runs([plain("a", "Running")])
        await clock.settle()
        run.progress.on_task_runs([plain("a", "Success")])
        await clock.advance(30)
        assert run.task_states() == ["Success"]
        assert not run.fence.is_closed


async def test_a_server_that_says_when_is_heeded(server: ApiServer, api: FlowRunApi, clock: ManualClock) -> None:
    """Retry-After of a busy server holds."""
    async with reporting(server, api, clock) as run:
        server.problems["PATCH"] = [Problem(429, headers={"Retry-After": "20"})]
        run.progress.on_task_runs([plain("a", "Running")])
        await clock.settle()
        await clock.advance(19)
        assert len(server.writes) == 0
        await clock.advance(2)
        assert len(server.writes) == 1


async def test_a_server_that_is_away_is_waited_for(server: ApiServer, clock: ManualClock, api: FlowRunApi) -> None:
    """No connection is no reason to give the run up, however long it lasts."""
    async with reporting(server, api, clock) as run:
        here, api._collection = api._collection, "http://127.0.0.1:1"
        run.progress.on_task_runs([plain("a", "Running")])
        await clock.advance(600)
        assert not run.fence.is_closed
        api._collection = here
        await clock.advance(30)
        assert run.task_states() == ["Running"]


async def test_the_operator_may_write_in_between(server: ApiServer, api: FlowRunApi, clock: ManualClock) -> None:
    """A conflict leads to a look; the run is still ours, so the report is written, over nothing that others own."""
    async with reporting(server, api, clock) as run:
        await server.edit(state="Running", conditions=[{"type": "Finished"}])
        run.progress.on_task_runs([plain("a", "Running")])
        await clock.settle()
        assert run.task_states() == ["Running"]
        assert server.status["conditions"] == [{"type": "Finished"}]


@pytest.mark.parametrize(
    ("what", "why"),
    [
        ("holder", "another engine process has claimed the run"),
        ("uid", "the FlowRun is another one"),
        ("over", "the run is over: Cancelled"),
        ("cluster", "the run has cluster 2 by now"),
        ("deleting", "the FlowRun is being deleted"),
        ("gone", "the FlowRun is gone"),
    ],
)
async def test_a_run_that_is_not_ours_is_left_alone(
    what: str, why: str, server: ApiServer, api: FlowRunApi, clock: ManualClock
) -> None:
    """Whatever took the run away: not one byte of status is written after it, and the fence says why."""
    async with reporting(server, api, clock) as run:
        match what:
            case "holder":
                await server.edit(flow={"holder": {"podUID": "other", "schedulerId": "Scheduler-2"}})
            case "uid":
                await server.replace("another-uid")
            case "over":
                await server.edit(state="Cancelled")
            case "cluster":
                await server.edit(cluster={"name": "weather-c2", "number": 2})
            case "deleting":
                await server.mark_deleted()
            case "gone":
                await server.delete()
        run.progress.on_task_runs([plain("a", "Running")])
        await asyncio.wait_for(run.task, 60)
        assert run.fence.is_closed
        assert run.fence.why.startswith(why)
        assert server.writes == []
        run.reporter.finish(DONE)
        await run.reporter.run(run.progress, 1)
        assert server.writes == []


@pytest.mark.parametrize("code", [401, 403])
async def test_denials_count_only_when_they_last(
    code: int, server: ApiServer, api: FlowRunApi, clock: ManualClock
) -> None:
    """A moment without rights is forgiven; five seconds of nothing else are the end."""
    async with reporting(server, api, clock) as run:
        server.standing["PATCH"] = Problem(code, "no rights")
        run.progress.on_task_runs([plain("a", "Running")])
        await clock.settle()
        await clock.advance(3)
        del server.standing["PATCH"]
        await clock.advance(10)
        assert run.task_states() == ["Running"]
        server.standing["PATCH"] = Problem(code, "no rights")
        run.progress.on_task_runs([plain("a", "Success")])
        await clock.advance(20)
        assert run.fence.is_closed
        assert "no rights" in run.fence.why


async def test_denials_do_not_add_up_over_an_outage(clock: ManualClock) -> None:
    """One before the API server went away and one as it comes back are not five seconds of nothing else."""
    fence = Fence(NAME, clock.now)
    denied, nobody = Answer(403, {"message": "no rights"}), Answer(None, {}, "no answer")
    fence.judge(denied)
    await clock.advance(2)
    fence.judge(nobody)
    await clock.advance(600)
    fence.judge(denied)
    assert not fence.is_closed
    await clock.advance(5)
    fence.judge(denied)
    assert fence.is_closed
    assert fence.is_denied


async def test_a_reporter_that_gave_up_has_nothing_to_do(
    server: ApiServer, api: FlowRunApi, clock: ManualClock
) -> None:
    """Its process stays to answer health checks, and must not be taken for one that is stuck."""
    async with reporting(server, api, clock) as run:
        server.standing["PATCH"] = Problem(403, "no rights")
        run.progress.on_task_runs([plain("a", "Running")])
        await clock.settle()
        assert run.reporter.busy
        await clock.advance(20)
        await asyncio.wait_for(run.task, 60)
        assert not run.reporter.busy


async def test_a_renewed_token_is_used_from_the_next_request_on(
    server: ApiServer, api: FlowRunApi, clock: ManualClock
) -> None:
    """Kubernetes replaces the token's file; the agent reads it each time."""
    async with reporting(server, api, clock) as run:
        server.token = "second-token"
        run.progress.on_task_runs([plain("a", "Running")])
        await clock.settle()
        api._credentials.token.write_text("second-token")
        await clock.advance(2)
        assert run.task_states() == ["Running"]


async def test_a_server_that_does_not_know_the_kind_yet_is_waited_for(
    server: ApiServer, api: FlowRunApi, clock: ManualClock
) -> None:
    """A starting API server says 404 without naming an object: that is not our FlowRun's end."""
    async with reporting(server, api, clock) as run:
        server.problems["PATCH"] = [Problem(404, "the server could not find the requested resource")]
        run.progress.on_task_runs([plain("a", "Running")])
        await clock.advance(5)
        assert run.task_states() == ["Running"]
        assert not run.fence.is_closed


async def test_a_status_that_is_too_large_for_the_server_shrinks(
    server: ApiServer, api: FlowRunApi, clock: ManualClock
) -> None:
    """A server with a smaller limit than ours still gets the run's state."""
    async with reporting(server, api, clock) as run:
        server.problems["PATCH"] = [Problem(413, "request entity too large")] * 2
        run.progress.on_task_runs([plain("a", "Running")])
        await clock.settle()
        assert run.states() == ["Running"]


async def test_a_status_that_is_refused_for_good_does_not_end_the_run(
    server: ApiServer, api: FlowRunApi, clock: ManualClock
) -> None:
    """Refused at any size: given up for now, not forever, and the final report is tried again."""
    async with reporting(server, api, clock) as run:
        server.standing["PATCH"] = Problem(422, "status.flow.reason: unsupported value")
        run.progress.on_task_runs([plain("a", "Running")])
        await clock.settle()
        assert not run.task.done()
        del server.standing["PATCH"]
        run.reporter.finish(DONE)
        await asyncio.wait_for(run.task, 60)
        assert run.states() == ["Success"]


async def test_a_final_report_that_is_refused_is_tried_until_it_is_taken(
    server: ApiServer, api: FlowRunApi, clock: ManualClock
) -> None:
    """Somebody's admission webhook refuses it for a while: the run must not stay Running for ever."""
    async with reporting(server, api, clock) as run:
        server.standing["PATCH"] = Problem(400, "denied by a webhook")
        run.reporter.finish(DONE)
        await clock.settle()
        await clock.advance(100)
        assert not run.task.done()
        del server.standing["PATCH"]
        await clock.advance(31)
        await asyncio.wait_for(run.task, 60)
        assert run.states() == ["Success"]
        assert not run.reporter.busy


async def test_a_look_follows_a_foreign_write(server: ApiServer, api: FlowRunApi, clock: ManualClock) -> None:
    """While nothing is to be written, a change that the watch shows still tells whether the run is ours."""
    async with reporting(server, api, clock) as run:
        await server.edit(flow={"holder": {"podUID": "other", "schedulerId": "Scheduler-2"}})
        check = asyncio.ensure_future(run.reporter.check_soon(str(server.version)))
        await clock.settle()
        await clock.advance(1)
        await check
        assert run.fence.why == "another engine process has claimed the run"


async def test_our_own_writes_need_no_look(server: ApiServer, api: FlowRunApi, clock: ManualClock) -> None:
    """The watch shows our own writes too; they cost no request."""
    async with reporting(server, api, clock) as run:
        run.progress.on_task_runs([plain("a", "Running")])
        await clock.settle()
        before = len(server.requests)
        check = asyncio.ensure_future(run.reporter.check_soon(str(server.version)))
        await clock.settle()
        await clock.advance(1)
        await check
        assert len(server.requests) == before


@pytest.mark.parametrize(
    ("seconds", "size", "expected"),
    [
        (0.001, 1_000, 1.1),
        (0.05, 1_000, 1.1),
        (0.1, 1_000, 2.0),
        (0.3, 1_000, 6.0),
        (0.01, 64 * 1024, 1.1),
        (0.01, 512 * 1024, 8.0),
        (10.0, 512 * 1024, 30.0),
    ],
)
def test_the_pace_follows_the_cost(seconds: float, size: int, expected: float) -> None:
    """Slow or large writes are rarer, always more than a second apart, never further apart than half a minute."""
    assert pacing.interval_after(seconds, size) == pytest.approx(expected)


def test_retries_spread_and_stay_bounded() -> None:
    """Pauses grow from a quarter of a second to ten, with what the server asks for on top, up to a minute."""
    delays = [pacing.retry_delay(n) for n in range(1, 12)]
    assert delays == sorted(delays)
    assert (delays[0], delays[-1]) == (0.25, 10.0)
    assert pacing.retry_delay(1, jitter=1.0) == pytest.approx(0.375)
    assert pacing.retry_delay(1, retry_after=7) == 7
    assert pacing.retry_delay(1, retry_after=3600) == 60
    assert pacing.retry_delay(10_000) == 10.0
