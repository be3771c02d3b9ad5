"""How a run ends for the status, from how the engine says that it ended."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from flowkiln.api.limits import MAX_STATUS_BYTES
from flowkiln.engine.state import Failed, State, Success
from flowkiln_operator.agent.drive import _until_over
from flowkiln_operator.agent.fence import Fence
from flowkiln_operator.agent.progress import Progress
from tests.operator.agent.api_server import NAME
from tests.operator.agent.records import plain


class Engine:
    """An engine that is over."""

    def __init__(self, end: State) -> None:
        self.ended: asyncio.Future[State] = asyncio.get_running_loop().create_future()
        self.ended.set_result(end)
        self.has_succeeded = end.is_successful()

    def terminate(self) -> None:
        """There is nothing to end."""


class Link:
    """A scheduler that is there."""

    async def wait_until_lost(self, _scheduler_id: str) -> str:
        """Wait for ever."""
        return await asyncio.get_running_loop().create_future()

    async def is_lost(self, _scheduler_id: str) -> None:
        """It is not."""


@pytest.mark.parametrize(
    ("end", "state", "reason", "tasks"),
    [
        (Success("well"), "Success", "Succeeded", ["Success", "Pending"]),
        (Failed("no", result={}), "Failed", "TaskFailed", ["Success", "Pending"]),
        (Failed("no way to the scheduler", result=OSError()), "Crashed", "ClusterLost", ["Success", "Crashed"]),
        (Failed("a handler raised", result=ValueError()), "Failed", "TaskFailed", ["Success", "Cancelled"]),
    ],
)
async def test_an_engine_that_broke_off_leaves_nothing_unfinished(
    end: State, state: str, reason: str, tasks: list[str]
) -> None:
    """An error of the run itself is no task's, and what it cut off is not shown as if it still came."""
    progress = Progress(["a", "b"], lambda: None)
    progress.on_task_runs([plain("a", "Success")])
    engine: Any = Engine(end)
    link: Any = Link()
    summary = await _until_over(engine, link, "scheduler", Fence(NAME, lambda: 0.0), progress)
    assert summary is not None
    assert (summary.state, summary.reason, summary.message.split(" The")[0]) == (state, reason, end.message)
    assert [task["state"] for task in json.loads(progress.snapshot(MAX_STATUS_BYTES).tasks)] == tasks


async def test_a_flow_that_ends_in_a_state_of_its_own() -> None:
    """A `VeryPoor` from a state handler counts as Failed, and the message begins with its name."""

    class VeryPoor(Failed):
        pass

    engine: Any = Engine(VeryPoor("3 rows are empty", result={}))
    link: Any = Link()
    summary = await _until_over(engine, link, "scheduler", Fence(NAME, lambda: 0.0), Progress(["a"], lambda: None))
    assert summary is not None
    assert (summary.state, summary.reason, summary.message) == ("Failed", "TaskFailed", "VeryPoor: 3 rows are empty")
