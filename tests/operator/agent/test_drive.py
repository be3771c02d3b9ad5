"""A whole engine process' work: a plan, an API server over HTTP, and a Dask cluster of real processes under TLS."""

from __future__ import annotations

import asyncio
import sys
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from flowkiln.api.flow import FlowSpec
from flowkiln.api.plan import Plan, PlanFlow
from flowkiln.api.status import FlowRunStatus
from flowkiln_operator.agent.api_client import Credentials
from flowkiln_operator.agent.drive import Vitals, drive
from flowkiln_operator.agent.json_logs import JsonLines
from flowkiln_operator.agent.projection.flow_status import Holder
from flowkiln_operator.agent.scheduler import SchedulerLink
from flowkiln_operator.agent.settings import Settings
from tests.operator.agent.api_server import UID, ApiServer
from tests.operator.agent.conftest import RUN
from tests.operator.agent.dask_processes import DaskProcesses, dask_processes

LIMIT = 60.0
CODE = """
import os, pathlib, time

def numbers(count):
    return list(range(count))

def double(number):
    return 2 * number

def add(values):
    return sum(values)

def fail():
    raise ValueError("no rows")

def wait(path):
    pathlib.Path(path).write_text(str(os.getpid()))
    while True:
        time.sleep(0.1)

def fail_once(path):
    file = pathlib.Path(path)
    if not file.exists():
        file.write_text("")
        raise ValueError("not yet")
"""


@pytest.fixture
def code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A module of task functions that agent and worker can import; another name for each test."""
    name = f"agent_code_{uuid.uuid4().hex}"
    (tmp_path / f"{name}.py").write_text(CODE)
    monkeypatch.syspath_prepend(tmp_path)
    yield name
    sys.modules.pop(name, None)


@pytest.fixture
def cluster(tmp_path: Path, code: str) -> Iterator[DaskProcesses]:
    """A scheduler and a worker."""
    with dask_processes(tmp_path) as processes:
        yield processes


@asynccontextmanager
async def driving(
    tasks: list[dict[str, Any]],
    server: ApiServer,
    credentials: Credentials,
    cluster: DaskProcesses,
    tmp_path: Path,
    **parameters: Any,
) -> AsyncIterator[asyncio.Task[str]]:
    """The work of an engine process for these tasks, in this process."""
    spec = FlowSpec.model_validate({"parameters": [{"name": name} for name in parameters], "tasks": tasks})
    plan = Plan.make(run=RUN, flow=PlanFlow(name="flow"), spec=spec, parameters=parameters, context={})
    (tmp_path / "plan.json.gz").write_bytes(plan.encode())
    settings = Settings(
        plan=tmp_path / "plan.json.gz",
        pod_uid="pod-uid",
        cluster_number=1,
        scheduler=cluster.address,
        api_server=server.url,
        token=credentials.token,
        ca=credentials.ca,
        health_port=0,
        restarts=0,
        last_exit="",
    )
    task = asyncio.ensure_future(drive(settings, JsonLines(), Vitals()))
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def until(condition: Callable[[], Any]) -> None:
    """Wait until it holds."""
    async with asyncio.timeout(LIMIT):
        while not condition():
            await asyncio.sleep(0.05)


Drive = Callable[..., Awaitable[None]]


async def test_a_flow_runs_to_its_end(
    server: ApiServer, credentials: Credentials, cluster: DaskProcesses, tmp_path: Path, code: str
) -> None:
    """Claim, Running with all tasks known, Success: parameters, data, maps and reduction on real workers."""
    tasks = [
        {"name": "numbers", "function": f"{code}:numbers", "inputs": [{"name": "count", "parameter": "count"}]},
        {
            "name": "double",
            "function": f"{code}:double",
            "inputs": [{"name": "number", "task": "numbers", "map": True}],
        },
        {"name": "add", "function": f"{code}:add", "inputs": [{"name": "values", "task": "double"}]},
    ]
    async with driving(tasks, server, credentials, cluster, tmp_path, count=40) as work:
        assert await asyncio.wait_for(work, LIMIT) == "the run is over and reported"
    flows = [status["flow"] for status in server.writes]
    assert [(flow["state"], flow["runCount"]) for flow in flows[:2]] == [("Running", 0), ("Running", 1)]
    status = FlowRunStatus.model_validate(server.writes[-1])
    assert status.flow is not None
    assert (status.flow.state, status.flow.reason, status.flow.progress) == ("Success", "Succeeded", "43/43")
    by_name = {task.name: task for task in status.tasks}
    assert list(by_name) == ["count", "numbers", "double", "add"]
    assert by_name["double"].children is not None
    assert by_name["double"].children.counts == {"Success": 40}
    assert all(task.start_time and task.completion_time for task in status.tasks)


async def test_a_failure_is_told(
    server: ApiServer, credentials: Credentials, cluster: DaskProcesses, tmp_path: Path, code: str
) -> None:
    """What a task raised is in the status of that task; what depends on it says only that its trigger failed."""
    tasks = [{"name": "fail", "function": f"{code}:fail"}, {"name": "after", "command": ["true"], "after": ["fail"]}]
    async with driving(tasks, server, credentials, cluster, tmp_path) as work:
        await asyncio.wait_for(work, LIMIT)
    final = server.writes[-1]
    assert (final["flow"]["state"], final["flow"]["reason"]) == ("Failed", "TaskFailed")
    states = {task["name"]: task for task in final["tasks"]}
    assert states["fail"]["state"] == "Failed"
    assert "no rows" in states["fail"]["message"]
    assert "ValueError" in states["fail"]["traceback"]
    assert states["after"]["state"] == "TriggerFailed"


async def test_a_flow_that_cannot_be_built_is_told(
    server: ApiServer, credentials: Credentials, cluster: DaskProcesses, tmp_path: Path, code: str
) -> None:
    """A callable that is not there ends the run before anything is run, with a sentence that names it."""
    tasks = [{"name": "a", "function": f"{code}:missing"}]
    async with driving(tasks, server, credentials, cluster, tmp_path) as work:
        await asyncio.wait_for(work, LIMIT)
    final = server.writes[-1]["flow"]
    assert (final["state"], final["reason"]) == ("Failed", "FlowLoadFailed")
    assert "missing" in final["message"]


async def test_a_module_that_breaks_is_told_with_its_traceback(
    server: ApiServer, credentials: Credentials, cluster: DaskProcesses, tmp_path: Path, code: str
) -> None:
    """User code that raises, or exits, while it is imported shows its own error."""
    (tmp_path / "breaks.py").write_text("import sys\nsys.exit('no licence')\n")
    async with driving([{"name": "a", "function": "breaks:f"}], server, credentials, cluster, tmp_path) as work:
        await asyncio.wait_for(work, LIMIT)
    final = server.writes[-1]["flow"]
    assert (final["state"], final["reason"]) == ("Failed", "FlowLoadFailed")
    assert "no licence" in final["message"]


async def test_the_end_of_the_flow_run_ends_the_work(
    server: ApiServer, credentials: Credentials, cluster: DaskProcesses, tmp_path: Path, code: str
) -> None:
    """With nobody else alive to clean up, a deleted FlowRun stops running bodies, and nothing more is reported."""
    marker = tmp_path / "running"
    tasks = [{"name": "wait", "function": f"{code}:wait", "inputs": [{"name": "path", "value": str(marker)}]}]
    async with driving(tasks, server, credentials, cluster, tmp_path) as work:
        await until(marker.exists)
        writes = len(server.writes)
        await server.delete()
        assert await asyncio.wait_for(work, LIMIT) == "the FlowRun is deleted"
        await until(lambda: cluster.worker.poll() is not None)
        await until(lambda: not Path(f"/proc/{marker.read_text()}").exists())
    assert len(server.writes) == writes


async def test_the_loss_of_the_scheduler_ends_the_run(
    server: ApiServer, credentials: Credentials, cluster: DaskProcesses, tmp_path: Path, code: str
) -> None:
    """Without a store the results are gone: Crashed, with nothing left that looks as if it still ran."""
    marker = tmp_path / "running"
    tasks = [
        {"name": "wait", "function": f"{code}:wait", "inputs": [{"name": "path", "value": str(marker)}]},
        {"name": "after", "command": ["true"], "after": ["wait"]},
    ]
    async with driving(tasks, server, credentials, cluster, tmp_path) as work:
        await until(marker.exists)
        cluster.scheduler.kill()
        await asyncio.wait_for(work, LIMIT)
    final = server.writes[-1]
    assert (final["flow"]["state"], final["flow"]["reason"]) == ("Crashed", "ClusterLost")
    assert "scheduler" in final["flow"]["message"]
    assert {task["state"] for task in final["tasks"]} <= {"Crashed", "TriggerFailed"}


async def test_a_wait_for_a_retry_is_shown(
    server: ApiServer, credentials: Credentials, cluster: DaskProcesses, tmp_path: Path, code: str
) -> None:
    """A task that waits for its next attempt is Retrying, and the message names the time; then it succeeds."""
    tasks = [
        {
            "name": "flaky",
            "function": f"{code}:fail_once",
            "inputs": [{"name": "path", "value": str(tmp_path / "tried")}],
            "retries": {"max": 1, "delay": "4s"},
        }
    ]
    async with driving(tasks, server, credentials, cluster, tmp_path) as work:
        await asyncio.wait_for(work, LIMIT)
    messages = [status["flow"]["message"] for status in server.writes]
    assert any(message.startswith("flaky is retried at ") for message in messages)
    final = server.writes[-1]
    assert final["flow"]["state"] == "Success"
    assert final["tasks"][0]["runCount"] == 2


async def test_an_engine_that_died_in_the_middle_is_not_run_again_in_silence(
    server: ApiServer, credentials: Credentials, cluster: DaskProcesses, tmp_path: Path, code: str
) -> None:
    """The next process on the same scheduler ends the run as lost and closes what was reported as unfinished."""
    holder = Holder("pod-uid", await SchedulerLink(cluster.address).wait_for_identity())
    flow = {"state": "Running", "reason": "Running", "runCount": 1, "attempt": 1, "holder": holder.document()}
    await server.edit(flow={**flow, "counts": {"Running": 1}}, tasks=[{"name": "a", "state": "Running"}])
    async with driving([{"name": "a", "command": ["true"]}], server, credentials, cluster, tmp_path) as work:
        await asyncio.wait_for(work, LIMIT)
    final = server.writes[-1]
    assert (final["flow"]["state"], final["flow"]["reason"]) == ("Crashed", "ClusterLost")
    assert final["flow"]["counts"] == {"Crashed": 1}
    assert final["tasks"] == [{"name": "a", "state": "Crashed"}]


async def test_a_plan_of_another_version_is_reported(
    server: ApiServer, credentials: Credentials, cluster: DaskProcesses, tmp_path: Path
) -> None:
    """An image whose flowkiln is too old for the plan says so in the run's status."""
    import gzip
    import json

    document = {"version": 99, "run": {"namespace": RUN.namespace, "name": RUN.name, "uid": UID}, "news": {}}
    async with driving([{"name": "a", "command": ["true"]}], server, credentials, cluster, tmp_path) as work:
        (tmp_path / "plan.json.gz").write_bytes(gzip.compress(json.dumps(document).encode()))
        await asyncio.wait_for(work, LIMIT)
    assert "version 99" in server.writes[-1]["flow"]["message"]
