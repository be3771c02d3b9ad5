"""Settings, plan file, logs, health and errors at loading: what surrounds the agent's work."""

from __future__ import annotations

import gzip
import json
import logging
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from tornado.httpclient import AsyncHTTPClient

from flowkiln.api.flow import FlowSpec
from flowkiln.api.plan import Plan, PlanError, PlanFlow, PlanRun
from flowkiln.utilities.exceptions import FlowLoadError
from flowkiln_operator.agent.engine_thread import make_executor
from flowkiln_operator.agent.flow_loading import describe_load_error
from flowkiln_operator.agent.health import serve_health
from flowkiln_operator.agent.json_logs import JsonLines, log_to_stdout
from flowkiln_operator.agent.plan_file import UnusablePlan, read_plan
from flowkiln_operator.agent.settings import SettingsError, read_settings
from tests.operator.agent.conftest import RUN

POD = {
    "FLOWKILN_PLAN": "/etc/flowkiln/plan/plan.json.gz",
    "FLOWKILN_POD_UID": "pod-uid",
    "FLOWKILN_CLUSTER_NUMBER": "2",
    "FLOWKILN_SCHEDULER": "tls://127.0.0.1:8786",
    "KUBERNETES_SERVICE_HOST": "10.96.0.1",
    "KUBERNETES_SERVICE_PORT": "443",
}


def test_settings_come_from_the_pod() -> None:
    """What the operator sets is what the agent reads."""
    settings = read_settings(POD)
    assert settings.api_server == "https://10.96.0.1:443"
    assert (settings.cluster_number, settings.health_port, settings.restarts) == (2, 8790, 0)
    assert settings.token == Path("/var/run/secrets/flowkiln/token")
    assert read_settings({**POD, "KUBERNETES_SERVICE_HOST": "fd00::1"}).api_server == "https://[fd00::1]:443"


@pytest.mark.parametrize("name", ["FLOWKILN_PLAN", "FLOWKILN_POD_UID", "FLOWKILN_CLUSTER_NUMBER", "FLOWKILN_SCHEDULER"])
def test_a_missing_setting_is_named(name: str) -> None:
    """The error says which variable is not there."""
    with pytest.raises(SettingsError, match=name):
        read_settings({key: value for key, value in POD.items() if key != name})


def test_a_number_that_is_none_is_named() -> None:
    """The error quotes what was found."""
    with pytest.raises(SettingsError, match="'two'"):
        read_settings({**POD, "FLOWKILN_CLUSTER_NUMBER": "two"})


def test_a_plan_is_read_as_it_was_written() -> None:
    """Operator and agent agree on the file."""
    spec = FlowSpec.model_validate({"tasks": [{"name": "a", "command": ["true"]}]})
    plan = Plan.make(run=RUN, flow=PlanFlow(name="flow"), spec=spec, parameters={}, context={})
    assert read_plan(plan.encode()) == plan


def test_a_plan_of_another_version_still_says_whose_it_is() -> None:
    """An agent that cannot carry a plan out can report that."""
    document = {"version": 99, "run": RUN.to_json(), "whatever": {}}
    found = read_plan(gzip.compress(json.dumps(document).encode()))
    assert isinstance(found, UnusablePlan)
    assert found.run == RUN
    assert "99" in found.why


@pytest.mark.parametrize(
    "data",
    [b"", b"no gzip", gzip.compress(b"{"), gzip.compress(b"[]"), gzip.compress(b"{}")],
    ids=["empty", "not compressed", "half a document", "a list", "nothing in it"],
)
def test_a_plan_that_is_no_plan_is_an_error(data: bytes) -> None:
    """Without a run there is nobody to report to."""
    with pytest.raises(PlanError):
        read_plan(data)


def test_a_log_line_carries_what_is_known() -> None:
    """One JSON object a line, whatever is in the message."""
    record = logging.makeLogRecord({"name": "flowkiln.run", "msg": "two\nlines %s", "args": ("é\x00",), "task": "load"})
    line = JsonLines("default/weather").format(record)
    assert "\n" not in line
    assert {"message": "two\nlines é\ufffd", "run": "default/weather", "task": "load"}.items() <= json.loads(
        line
    ).items()


@pytest.fixture
def logging_as_it_was() -> Iterator[None]:
    """Put the process' logging back."""
    root = logging.getLogger()
    known = [root, *(one for one in root.manager.loggerDict.values() if isinstance(one, logging.Logger))]
    before = [(one, list(one.handlers), one.level, one.propagate) for one in known]
    yield
    for logger, handlers, level, propagate in before:
        logger.handlers[:], logger.propagate = handlers, propagate
        logger.setLevel(level)


@pytest.mark.usefixtures("logging_as_it_was")
def test_libraries_log_as_json_too(capsys: pytest.CaptureFixture[str]) -> None:
    """Dask sets up handlers of its own when it is imported; its warnings come out as lines like all others."""
    logging.getLogger("distributed.worker").addHandler(logging.StreamHandler())
    log_to_stdout().run = "default/weather"
    logging.getLogger("distributed.worker").warning("low on memory")
    logging.getLogger("distributed.worker").info("small talk")
    captured = capsys.readouterr()
    (line,) = captured.out.splitlines()
    assert json.loads(line)["message"] == "low on memory"
    assert captured.err == ""


async def test_health_follows_the_check() -> None:
    """200 while nothing is wrong, 503 with a reason otherwise."""
    problem: str | None = None
    server = serve_health(0, lambda: problem)
    (socket,) = [one for one in server._sockets.values() if one.family.name == "AF_INET"]
    url = f"http://127.0.0.1:{socket.getsockname()[1]}/healthz"
    client = AsyncHTTPClient()
    try:
        assert (await client.fetch(url)).code == 200
        problem = "the reporter has made no progress for 130 s"
        answer = await client.fetch(url, raise_error=False)
        assert (answer.code, answer.body.decode().strip()) == (503, problem)
    finally:
        server.stop()
        client.close()


def test_a_load_error_is_one_sentence_and_its_cause() -> None:
    """The sentence names what is wrong; the traceback of what the user's module raised follows, all within bounds."""
    try:
        try:
            raise ValueError("deep in a module " + "x" * 5000)
        except ValueError as cause:
            raise FlowLoadError("task 'a': the module 'weather' cannot be imported") from cause
    except FlowLoadError as error:
        message = describe_load_error(error)
    assert message.startswith("task 'a': the module 'weather' cannot be imported\n")
    assert len(message.encode()) <= 1024


def test_what_loading_itself_finds_wrong_is_told_in_one_sentence() -> None:
    """A traceback of our own code would say nothing to the author of the flow."""
    sentence = "task 'a': 'weather:extract' takes no argument 'yaer'; it takes year"
    assert describe_load_error(FlowLoadError(sentence)) == sentence


def test_the_agent_stays_lean() -> None:
    """Start-up is mostly imports: nothing that only operator, command line or validation need is among them."""
    code = "import sys, flowkiln_operator.agent.engine_process; print('\\n'.join(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    for unwanted in ("kubernetes", "kopf", "dask_kubernetes", "rich", "jsonschema", "obstore", "pandas"):
        assert unwanted not in loaded


def test_the_engine_knows_how_many_workers_will_come() -> None:
    """Workers join after the engine has started; units are sized for all of them, on a cluster that is ours."""
    document = {
        "tasks": [{"name": "a", "function": "m:f"}],
        "cluster": {"workers": {"replicas": 3, "processes": 2, "threads": 4}},
    }
    plan = Plan(
        run=PlanRun(namespace="n", name="r", uid=str(uuid.uuid4())),
        flow=PlanFlow(name="f", generation=1, inline=False),
        spec=FlowSpec.model_validate(document),
        parameters={},
        context={},
    )
    executor = make_executor(plan, "tls://127.0.0.1:8786")
    assert (executor.threads, executor.tuned) == (24, True)
