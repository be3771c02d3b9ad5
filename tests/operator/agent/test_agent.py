"""The agent whole: its processes, an API server over TLS, and a Dask cluster of real processes under mutual TLS."""

from __future__ import annotations

import asyncio
import gzip
import json
import os
import signal
import sys
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import pytest
from tornado.httpclient import AsyncHTTPClient

from flowkiln.api.flow import FlowSpec
from flowkiln.api.plan import Plan, PlanFlow, PlanRun
from flowkiln.api.status import FlowRunStatus
from tests.operator.agent.api_server import NAME, NAMESPACE, ApiServer, Problem, running_api_server
from tests.operator.agent.certificates import server_tls
from tests.operator.agent.dask_processes import DaskProcesses, dask_processes

LIMIT = 240.0
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

def fail_until(path):
    if not pathlib.Path(path).exists():
        raise ValueError("not yet")
"""


@dataclass
class Agent:
    """An agent's processes and what is around them."""

    server: ApiServer
    cluster: DaskProcesses
    folder: Path
    run: PlanRun
    process: asyncio.subprocess.Process | None = None
    lines: list[dict[str, Any]] = field(default_factory=list)
    """What was logged."""
    _reading: asyncio.Task[None] | None = None

    async def start(self, tasks: list[dict[str, Any]], **parameters: Any) -> None:
        """Start the agent with a plan for these tasks."""
        spec = FlowSpec.model_validate({"parameters": [{"name": name} for name in parameters], "tasks": tasks})
        plan = Plan.make(run=self.run, flow=PlanFlow(name="flow"), spec=spec, parameters=parameters, context={})
        await self.start_with(plan.encode())

    async def start_with(self, plan: bytes) -> None:
        """Start the agent as its container does."""
        (self.folder / "plan.json.gz").write_bytes(plan)
        self.process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "flowkiln_operator.agent"),
            cwd=self.folder,
            env=self.cluster.environment
            | {
                "PYTHONPATH": f"{self.cluster.environment['PYTHONPATH']}:{self.folder}",
                "FLOWKILN_PLAN": str(self.folder / "plan.json.gz"),
                "FLOWKILN_POD_UID": "pod-uid",
                "FLOWKILN_CLUSTER_NUMBER": "1",
                "FLOWKILN_SCHEDULER": self.cluster.address,
                "FLOWKILN_CREDENTIALS": str(self.folder),
                "FLOWKILN_HEALTH_PORT": "0",
                "KUBERNETES_SERVICE_HOST": "127.0.0.1",
                "KUBERNETES_SERVICE_PORT": str(self.server.port),
            },
            stdout=asyncio.subprocess.PIPE,
        )
        self._reading = asyncio.ensure_future(self._read())

    async def _read(self) -> None:
        assert self.process is not None
        assert self.process.stdout is not None
        async for line in self.process.stdout:
            self.lines.append(json.loads(line))

    def said(self, text: str) -> bool:
        """Whether it logged a line with this text."""
        return any(text in line["message"] for line in self.lines)

    async def over(self) -> dict[str, Any]:
        """Wait until it has nothing more to do; the last status that it wrote."""
        await until(lambda: self.said("nothing more to do"))
        return self.server.writes[-1]

    async def health(self) -> int:
        """The code of its health check, at the one port at which its engine process listens."""
        assert self.process is not None
        (engine,) = children_of(self.process.pid)
        sockets = psutil.Process(engine).net_connections("tcp")
        (port,) = {one.laddr.port for one in sockets if one.status == psutil.CONN_LISTEN}
        answer = await AsyncHTTPClient().fetch(f"http://127.0.0.1:{port}/healthz", raise_error=False)
        return answer.code

    async def stop(self) -> None:
        """End it as Kubernetes does."""
        if self.process is not None and self._reading is not None:
            self.process.send_signal(signal.SIGTERM)
            assert await asyncio.wait_for(self.process.wait(), LIMIT) == 0
            await self._reading


@pytest.fixture(scope="module")
def shared_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DaskProcesses]:
    """A scheduler and a worker that can import the task functions, for tests that leave them in peace."""
    folder = tmp_path_factory.mktemp("shared")
    (folder / "flow_code.py").write_text(CODE)
    with dask_processes(folder) as processes:
        yield processes


@pytest.fixture
def own_cluster(tmp_path: Path) -> Iterator[DaskProcesses]:
    """A scheduler and a worker that a test may break."""
    (tmp_path / "flow_code.py").write_text(CODE)
    with dask_processes(tmp_path) as processes:
        yield processes


@asynccontextmanager
async def new_agent(cluster: DaskProcesses, folder: Path) -> AsyncIterator[Agent]:
    """An agent that is ready to be started."""
    (folder / "token").write_text("first-token")
    async with running_api_server(server_tls(folder)) as server:
        # Runs on one cluster differ in their uid, for it is part of Dask's keys.
        run = PlanRun(namespace=NAMESPACE, name=NAME, uid=str(uuid.uuid4()))
        server.metadata["uid"] = run.uid
        agent = Agent(server, cluster, folder, run)
        try:
            yield agent
        finally:
            await agent.stop()


@pytest.fixture
async def agent(tmp_path: Path, shared_cluster: DaskProcesses) -> AsyncIterator[Agent]:
    """An agent of a cluster that others use too."""
    async with new_agent(shared_cluster, tmp_path) as ready:
        yield ready


@pytest.fixture
async def agent_alone(tmp_path: Path, own_cluster: DaskProcesses) -> AsyncIterator[Agent]:
    """An agent of a cluster of its own."""
    async with new_agent(own_cluster, tmp_path) as ready:
        yield ready


def children_of(pid: int) -> list[int]:
    """The processes that a process has started."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


async def until(condition: Callable[[], Any]) -> None:
    """Wait until it holds."""
    async with asyncio.timeout(LIMIT):
        while not condition():  # noqa: ASYNC110 - the condition is about other processes
            await asyncio.sleep(0.05)


async def test_a_flow_runs_to_its_end(agent: Agent) -> None:
    """Claim, Running with all tasks known, Success: parameters, data, maps and reduction on real workers."""
    await agent.start(
        [
            {"name": "numbers", "function": "flow_code:numbers", "inputs": [{"name": "count", "parameter": "count"}]},
            {
                "name": "double",
                "function": "flow_code:double",
                "inputs": [{"name": "number", "task": "numbers", "map": True}],
            },
            {"name": "add", "function": "flow_code:add", "inputs": [{"name": "values", "task": "double"}]},
        ],
        count=40,
    )
    final = await agent.over()
    flows = [status["flow"] for status in agent.server.writes]
    assert [(flow["state"], flow["runCount"]) for flow in flows[:2]] == [("Running", 0), ("Running", 1)]
    status = FlowRunStatus.model_validate(final)
    assert status.flow is not None
    assert (status.flow.state, status.flow.reason, status.flow.progress) == ("Success", "Succeeded", "43/43")
    by_name = {task.name: task for task in status.tasks}
    assert list(by_name) == ["count", "numbers", "double", "add"]
    assert by_name["double"].children is not None
    assert by_name["double"].children.counts == {"Success": 40}
    assert all(task.start_time and task.completion_time for task in status.tasks)


async def test_logs_are_json_lines_without_secrets(agent: Agent) -> None:
    """Each line of the engine's process names the run, those about a task the task; the token is in none of them."""
    await agent.start([{"name": "fail", "function": "flow_code:fail"}])
    await agent.over()
    assert all(line["run"] == f"{NAMESPACE}/{NAME}" for line in agent.lines)
    assert ("fail", "Failed") in [(line.get("task"), line.get("state")) for line in agent.lines]
    assert "first-token" not in json.dumps(agent.lines)


async def test_a_failure_is_told(agent: Agent) -> None:
    """What a task raised is in the status of that task; what depends on it says only that its trigger failed."""
    await agent.start(
        [{"name": "fail", "function": "flow_code:fail"}, {"name": "after", "command": ["true"], "after": ["fail"]}]
    )
    final = await agent.over()
    assert (final["flow"]["state"], final["flow"]["reason"]) == ("Failed", "TaskFailed")
    states = {task["name"]: task for task in final["tasks"]}
    assert states["fail"]["state"] == "Failed"
    assert "no rows" in states["fail"]["message"]
    assert "ValueError" in states["fail"]["traceback"]
    assert states["after"]["state"] == "TriggerFailed"


@pytest.mark.parametrize(
    ("function", "said"), [("flow_code:missing", "missing"), ("breaks:f", "no licence"), ("absent:f", "absent")]
)
async def test_a_flow_that_cannot_be_built_is_told(function: str, said: str, agent: Agent) -> None:
    """A callable that is not there, or user code that breaks at import, ends the run with what was wrong."""
    (agent.folder / "breaks.py").write_text("import sys\nsys.exit('no licence')\n")
    await agent.start([{"name": "a", "function": function}])
    final = (await agent.over())["flow"]
    assert (final["state"], final["reason"]) == ("Failed", "FlowLoadFailed")
    assert said in final["message"]
    assert len(final["message"].encode()) <= 1024


async def test_user_code_that_kills_the_process_at_import_is_told(agent: Agent) -> None:
    """The supervisor starts the engine again a few times; then the run fails instead of going round forever."""
    (agent.folder / "kills.py").write_text("import os\nos._exit(77)\n")
    await agent.start([{"name": "a", "function": "kills:f"}])
    final = (await agent.over())["flow"]
    assert (final["state"], final["reason"]) == ("Failed", "FlowLoadFailed")
    assert "exit code 77" in final["message"]


async def test_the_end_of_the_flow_run_ends_the_work(agent_alone: Agent) -> None:
    """With nobody else alive to clean up, a deleted FlowRun stops running bodies, and nothing more is reported."""
    marker = agent_alone.folder / "running"
    await agent_alone.start(
        [{"name": "wait", "function": "flow_code:wait", "inputs": [{"name": "path", "value": str(marker)}]}]
    )
    await until(lambda: marker.exists() and marker.read_text())
    await until(lambda: [w for w in agent_alone.server.writes if w["flow"].get("counts", {}).get("Running")])
    writes = len(agent_alone.server.writes)
    await agent_alone.server.delete()
    await agent_alone.over()
    assert agent_alone.said("the FlowRun is deleted")
    await until(lambda: agent_alone.cluster.worker.poll() is not None)
    await until(lambda: not Path(f"/proc/{marker.read_text()}").exists())
    assert len(agent_alone.server.writes) == writes
    assert await agent_alone.health() == 200


async def test_an_agent_whose_rights_come_back_says_what_became_of_the_run(agent_alone: Agent) -> None:
    """Denied for long it ends the work, for its run may be somebody else's; given rights again it ends the run."""
    inputs = [{"name": "path", "value": str(agent_alone.folder / "never")}]
    retries = {"max": 1000, "delay": "1s"}
    await agent_alone.start(
        [{"name": "flaky", "function": "flow_code:fail_until", "inputs": inputs, "retries": retries}]
    )
    await until(lambda: [w for w in agent_alone.server.writes if w["flow"].get("counts", {}).get("Retrying")])
    for method in ("GET", "PATCH"):
        agent_alone.server.standing[method] = Problem(403, "no rights")
    await until(lambda: agent_alone.said("the run is not ours any more"))
    await until(lambda: agent_alone.cluster.worker.poll() is not None)
    agent_alone.server.standing.clear()
    final = await agent_alone.over()
    assert (final["flow"]["state"], final["flow"]["reason"]) == ("Crashed", "ClusterLost")
    assert [task["state"] for task in final["tasks"]] == ["Crashed"]


async def test_the_loss_of_the_scheduler_ends_the_run(agent_alone: Agent) -> None:
    """Without a store the results are gone: Crashed, with nothing left that looks as if it still ran."""
    marker = agent_alone.folder / "running"
    await agent_alone.start(
        [
            {"name": "wait", "function": "flow_code:wait", "inputs": [{"name": "path", "value": str(marker)}]},
            {"name": "after", "command": ["true"], "after": ["wait"]},
        ]
    )
    await until(marker.exists)
    agent_alone.cluster.scheduler.kill()
    final = await agent_alone.over()
    assert (final["flow"]["state"], final["flow"]["reason"]) == ("Crashed", "ClusterLost")
    assert "scheduler" in final["flow"]["message"]
    assert {task["state"] for task in final["tasks"]} <= {"Crashed", "TriggerFailed"}


async def test_a_wait_for_a_retry_is_shown(agent: Agent) -> None:
    """A task that waits for its next attempt is Retrying, and the message names the time; then it succeeds."""
    told = agent.folder / "told"
    await agent.start(
        [
            {
                "name": "flaky",
                "function": "flow_code:fail_until",
                "inputs": [{"name": "path", "value": str(told)}],
                "retries": {"max": 100, "delay": "2s"},
            }
        ]
    )

    def is_shown() -> bool:
        return any(
            status["flow"]["message"].startswith("flaky is retried at ") and status["tasks"][0]["state"] == "Retrying"
            for status in agent.server.writes
        )

    await until(is_shown)
    told.touch()
    final = await agent.over()
    assert final["flow"]["state"] == "Success"
    assert final["tasks"][0]["runCount"] >= 2


async def test_an_engine_that_dies_in_the_middle_is_not_run_again_in_silence(agent_alone: Agent) -> None:
    """The supervisor's next process finds the run begun and its knowledge gone: Crashed, everything unfinished too."""
    marker = agent_alone.folder / "running"
    await agent_alone.start(
        [
            {"name": "wait", "function": "flow_code:wait", "inputs": [{"name": "path", "value": str(marker)}]},
            {"name": "after", "command": ["true"], "after": ["wait"]},
        ]
    )
    await until(lambda: [w for w in agent_alone.server.writes if w["flow"].get("counts", {}).get("Running")])
    assert agent_alone.process is not None
    os.kill(children_of(agent_alone.process.pid)[0], signal.SIGKILL)
    final = await agent_alone.over()
    assert (final["flow"]["state"], final["flow"]["reason"]) == ("Crashed", "ClusterLost")
    assert "signal SIGKILL" in final["flow"]["message"]
    assert {task["name"]: task["state"] for task in final["tasks"]} == {"wait": "Crashed", "after": "Crashed"}
    assert final["flow"]["attempt"] == 1


async def test_a_finished_run_is_left_alone_by_a_restart(agent: Agent) -> None:
    """A container that starts again after the final report changes nothing, and is healthy."""
    await agent.server.edit(
        flow={"state": "Success", "runCount": 1, "holder": {"podUID": "pod-uid", "schedulerId": "Scheduler-0"}}
    )
    await agent.start([{"name": "a", "command": ["true"]}])
    await until(lambda: agent.said("nothing more to do"))
    assert agent.server.writes == []
    assert await agent.health() == 200


async def test_a_plan_of_another_version_is_reported(agent: Agent) -> None:
    """An image whose flowkiln does not understand the plan says so in the run's status."""
    document = {"version": 99, "run": {"namespace": NAMESPACE, "name": NAME, "uid": agent.run.uid}, "news": {}}
    await agent.start_with(gzip.compress(json.dumps(document).encode()))
    final = (await agent.over())["flow"]
    assert (final["state"], final["reason"]) == ("Crashed", "AgentVersion")
    assert "version 99" in final["message"]
