from __future__ import annotations

import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import cloudpickle
import pytest

from flowkiln import Flow, Task, triggers
from flowkiln.api.flow import FlowSpec
from flowkiln.core import Parameter
from flowkiln.core.local_ids import local_ids
from flowkiln.engine.executors import LocalExecutor
from flowkiln.engine.runs.conductor import Conductor
from flowkiln.loading import FlowLoadError, build_flow
from flowkiln.tasks.core.command import CommandTask

from .builders import flow_spec, modules

KILN = """
from datetime import timedelta
from flowkiln import Flow, Task, task

def numbers(count):
    return list(range(count))

def scale(number, factor, offset=0):
    return number * factor + offset

def total(numbers):
    return sum(numbers)

def login(user, password):
    return f"{user}:{len(password)}"

def anything(**inputs):
    return inputs

def only_positional(x, /):
    return x

def handler(thing, old, new):
    return new

@task(max_retries=3, retry_delay=timedelta(seconds=9), tags=["kept"], timeout=5)
def ready_made(x):
    return x + 1

class Doubler(Task):
    def run(self, x, times=2):
        return x * times

class Broken(Task):
    def __init__(self):
        raise RuntimeError("no fire")

class Picky(Task):
    def __init__(self, needed):
        super().__init__()

class TakesAll(Task):
    def run(self, **inputs):
        return inputs

with Flow("inside") as flow:
    ready_made(1)
"""


@pytest.fixture(autouse=True)
def _kiln(tmp_path: Path) -> Any:
    with modules(tmp_path, kiln=KILN):
        yield


def build(yaml_text: str) -> Flow:
    """Build a flow from a spec."""
    return build_flow(flow_spec(yaml_text), "test")


def one_task(yaml_text: str) -> Task:
    """Build a flow whose spec has one task, and give it."""
    (task,) = (task for task in build(yaml_text).tasks if not isinstance(task, Parameter))
    return task


def results(flow: Flow, **parameters: Any) -> dict[str, Any]:
    """Run a flow to its end in this process and give the results of all its tasks by local id."""
    ids = local_ids(flow)
    state = Conductor(flow, LocalExecutor(), parameters=parameters, return_tasks=tuple(ids)).run()
    assert state.is_successful(), state
    return {ids[task]: one.result for task, one in state.result.items()}


MAPPED = """
parameters: [{name: count}, {name: factor, default: 10}, {name: spare, default: 1}]
tasks:
- {name: numbers, function: "kiln:numbers", inputs: [{name: count, parameter: count}]}
- name: scale
  function: kiln:scale
  inputs: [{name: number, task: numbers, map: true}, {name: factor, parameter: factor}, {name: offset, value: 1}]
- {name: total, function: "kiln:total", inputs: [{name: numbers, task: scale}], after: [numbers]}
referenceTasks: [scale]
stateHandlers: ["kiln:handler"]
"""


class TestGraph:
    def test_tasks_are_named_as_in_the_spec(self) -> None:
        """Names and slugs are the spec's; a parameter that nobody uses is no task; constants are none either."""
        flow = build(MAPPED)
        assert list(local_ids(flow).values()) == ["count", "factor", "numbers", "scale", "total"]
        assert {task.slug for task in flow.tasks} == {"count", "factor", "numbers", "scale", "total"}
        assert flow.name == "test"

    def test_descriptions(self) -> None:
        """A task has the words of the spec; what the code of a ready-made task says stays where the spec has none."""
        told = one_task('tasks: [{name: a, command: ["true"], description: Weighs the kiln}]')
        assert told.description == "Weighs the kiln"
        assert one_task('tasks: [{name: a, command: ["true"]}]').description is None

    def test_edges(self) -> None:
        """Only the input that says so is mapped; `after` carries no data."""
        flow = build(MAPPED)
        edges = {(e.upstream_task.slug, e.downstream_task.slug, e.key, e.mapped) for e in flow.edges}
        assert edges == {
            ("count", "numbers", "count", False),
            ("numbers", "scale", "number", True),
            ("factor", "scale", "factor", False),
            ("scale", "total", "numbers", False),
            ("numbers", "total", None, False),
        }

    def test_reference_tasks_and_handlers(self) -> None:
        """They are the flow's own."""
        flow = build(MAPPED)
        assert {task.slug for task in flow.reference_tasks()} == {"scale"}
        assert [handler.__name__ for handler in flow.state_handlers] == ["handler"]

    def test_it_runs(self) -> None:
        """Map, constant, parameter, default and reduce come together."""
        assert results(build(MAPPED), count=3)["total"] == 1 + 11 + 21

    def test_entrypoint(self) -> None:
        """The flow of the code itself is given."""
        assert build_flow(FlowSpec(entrypoint="kiln:flow"), "other").name == "inside"

    def test_entrypoint_that_is_no_flow(self) -> None:
        """It is said what it is."""
        with pytest.raises(FlowLoadError, match=r"spec\.entrypoint: 'kiln:numbers' is function, not a flowkiln\.Flow"):
            build_flow(FlowSpec(entrypoint="kiln:numbers"), "other")


class TestSettings:
    def test_all_of_them(self) -> None:
        """Each field of a task becomes the argument that it stands for."""
        task = one_task("""
        tasks:
        - name: one
          function: kiln:anything
          retries: {max: 3, delay: 10s, backoffFactor: 2, maxDelay: 5m, jitterPercent: 10}
          timeout: 1h30m
          trigger: {rule: AllFinished}
          tags: [heavy]
          stateHandlers: ["kiln:handler"]
          skipOnUpstreamSkip: false
        """)
        assert (task.max_retries, task.retry_delay) == (3, timedelta(seconds=10))
        assert (task.retry_backoff, task.retry_max_delay, task.retry_jitter) == (2.0, timedelta(minutes=5), 0.1)
        assert task.timeout == 5400
        assert task.trigger is triggers.all_finished
        assert task.tags == {"heavy"}
        assert [handler.__name__ for handler in task.state_handlers] == ["handler"]
        assert task.skip_on_upstream_skip is False

    def test_a_task_object_keeps_its_own(self) -> None:
        """What the spec leaves open stays as the code says; tags add up; the code's object is not changed."""
        spec = (
            "tasks: [{name: one, function: 'kiln:ready_made', inputs: [{name: x, value: 1}], tags: [new], timeout: 7s}]"
        )
        task = one_task(spec)
        kiln = sys.modules["kiln"]
        assert (task.name, task.slug, task.max_retries, task.timeout) == ("one", "one", 3, 7)
        assert task.tags == {"kept", "new"}
        assert (kiln.ready_made.name, kiln.ready_made.tags, kiln.ready_made.timeout) == ("ready_made", {"kept"}, 5)


class TestCallables:
    @pytest.mark.parametrize(("reference", "expected"), [("kiln:ready_made", 6), ("kiln:Doubler", 10)])
    def test_task_objects_and_classes(self, reference: str, expected: int) -> None:
        """Both may stand where a function may, with constants too, also after a journey to a worker."""
        flow = build(f"tasks: [{{name: one, function: '{reference}', inputs: [{{name: x, value: 5}}]}}]")
        travelled = cloudpickle.loads(cloudpickle.dumps(flow))
        assert results(flow) == results(travelled) == {"one": expected}

    def test_keyword_arguments(self) -> None:
        """A function with `**` takes any input."""
        flow = build("tasks: [{name: one, function: 'kiln:anything', inputs: [{name: x, value: [1]}]}]")
        assert results(flow) == {"one": {"x": [1]}}

    def test_commands(self) -> None:
        """A program gets its inputs, constants included."""
        flow = build("""
        tasks:
        - {name: numbers, function: "kiln:numbers", inputs: [{name: count, value: 2}]}
        - name: shout
          command: [sh, -c, 'echo "$FLOWKILN_INPUT_NUMBERS $FLOWKILN_INPUT_END"']
          inputs: [{name: numbers, task: numbers}, {name: end, value: x}]
          timeout: 9s
        """)
        (shout,) = flow.get_tasks(slug="shout")
        assert isinstance(shout, CommandTask)
        assert shout.timeout == 9
        assert results(flow)["shout"] == '[0, 1] "x"'

    @pytest.mark.parametrize("given", ["value: 5", "task: five"])
    def test_an_input_of_a_command_may_be_called_self(self, given: str) -> None:
        """A constant and a result reach it like any other."""
        flow = build(f"""
        tasks:
        - {{name: five, command: [echo, "5"]}}
        - name: show
          command: [sh, -c, 'echo "$FLOWKILN_INPUT_SELF"']
          inputs: [{{name: self, {given}}}]
        """)
        assert results(flow)["show"] == 5

    def test_secrets(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A secret reaches the function and makes no edge."""
        monkeypatch.setenv("FLOWKILN_SECRETS_DIR", str(tmp_path))
        (tmp_path / "station").mkdir()
        (tmp_path / "station" / "token").write_text("12345")
        flow = build("""
        tasks:
        - name: login
          function: kiln:login
          inputs:
          - {name: user, value: me}
          - {name: password, valueFrom: {secretKeyRef: {name: station, key: token}}}
        """)
        assert not flow.edges
        assert results(flow) == {"login": "me:5"}

    @pytest.mark.parametrize(
        ("task", "said"),
        [
            ({"function": "kiln:numbrs"}, "task 'one': module 'kiln' has no 'numbrs'; did you mean 'numbers'"),
            ({"function": "kiln:Broken"}, "task 'one': 'kiln:Broken' cannot be made a task: no fire"),
            ({"function": "kiln:Picky"}, "task 'one': 'kiln:Picky' cannot be made a task: .*needed"),
            ({"function": "kiln:numbers"}, "task 'one': 'kiln:numbers' needs the argument 'count'; add an input"),
            (
                {"function": "kiln:numbers", "inputs": [{"name": "cout", "value": 1}]},
                "task 'one': 'kiln:numbers' takes no argument 'cout'; did you mean 'count'",
            ),
            (
                {"function": "kiln:only_positional", "inputs": [{"name": "x", "value": 1}]},
                "task 'one': 'kiln:only_positional' cannot be made a task: .*'x' can be given by position only",
            ),
            (
                {"function": "kiln:TakesAll", "inputs": [{"name": "self", "value": 1}]},
                "task 'one': 'kiln:TakesAll' takes no argument 'self'",
            ),
            (
                {"function": "os:getcwd", "stateHandlers": ["kiln:no"]},
                "task 'one', stateHandlers: module 'kiln' has no 'no'",
            ),
        ],
    )
    def test_errors_name_task_and_callable(self, task: dict[str, Any], said: str) -> None:
        """One sentence says what does not fit where."""
        spec = FlowSpec.model_validate({"tasks": [{"name": "one", **task}]})
        with pytest.raises(FlowLoadError, match=said):
            build_flow(spec, "test")


class TestImports:
    @pytest.mark.parametrize("needed", ["flowkiln.loading.bound_function", "flowkiln.loading.build"])
    def test_agents_and_workers_load_no_validation(self, needed: str) -> None:
        """What builds a flow from its plan, and what runs its tasks, starts without JSON Schema and YAML checks."""
        program = f"import sys, {needed}; sys.exit(','.join({{'jsonschema', 'click', 'rich'}} & set(sys.modules)) or 0)"
        ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
        assert (ended.returncode, ended.stderr) == (0, "")
