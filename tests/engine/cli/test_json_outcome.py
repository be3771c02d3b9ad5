from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from flowkiln.cli.json_outcome import MAX_FAILURES, document, run_outcome
from flowkiln.cli.json_schema import FILE_NAME, main, schema
from flowkiln.cli.progress import RunProgress
from flowkiln.engine.state import Failed, Skipped, Success
from flowkiln.states.records import FlowRunRecord

from .builders import invoke, record

ROOT = Path(__file__).parents[3]
EXECUTORS = ["local", "sync", "threads", "dask"]

FLOW = """
from flowkiln import Flow, Task

class Give(Task):
    def __init__(self, name, make):
        self.make = make
        super().__init__(name=name)
    def run(self):
        return self.make()

def circle():
    made = [1]
    made.append(made)
    return made

def nested():
    made = []
    for _ in range(300):
        made = [made]
    return made

MAKERS = {
    "tuple": lambda: {("a", 1): 2},
    "circle": circle,
    "digits": lambda: 10**5000,
    "nested": nested,
    "nan": lambda: [float("nan"), float("inf")],
    "large": lambda: list(range(100_000)),
    "plain": lambda: {"a": [1, 2.5, None]},
    "none": lambda: None,
    "rows": lambda: (n for n in range(3)),
}
flow = Flow("strange", tasks=[Give(name, make) for name, make in MAKERS.items()])
"""


def checked(outcome: dict[str, Any]) -> dict[str, Any]:
    """The outcome, which is as its schema says and has no field that the schema does not name."""
    described = schema()
    jsonschema.validate(outcome, described)
    kinds = [described, *described["$defs"].values()]
    assert set(outcome) == set(described["properties"])
    for task in outcome["tasks"]:
        assert any(set(task) == set(kind["properties"]) for kind in kinds)
    return outcome


def no_constant(constant: str) -> Any:
    """Refuse NaN and Infinity, which Python's parser takes though they are no JSON."""
    raise AssertionError(constant)


class TestResults:
    @pytest.mark.parametrize("executor", EXECUTORS)
    def test_strange_results(self, tmp_path: Path, executor: str) -> None:
        """They do not decide how the run ends: one JSON document, what it cannot say as a repr, and why."""
        path = tmp_path / f"kiln_strange_{executor}.py"
        path.write_text(FLOW)
        ended = invoke("run", path, "--json", "--quiet", "--executor", executor, "--workers", "1")
        assert ended.exit_code == 0, ended.output
        outcome = checked(json.loads(ended.stdout, parse_constant=no_constant))
        assert (outcome["state"], outcome["counts"]) == ("Success", {"Success": 9})
        results, losses = outcome["results"], outcome["losses"]
        assert results["tuple"] == {"('a', 1)": 2}
        assert results["circle"][0] == 1
        assert results["digits"] == "<int of 16610 bits>"
        assert results["nan"] == ["nan", "inf"]
        assert results["large"] == [*range(1000), {"$more": 99_000}]
        assert (results["plain"], results["none"]) == ({"a": [1, 2.5, None]}, None)
        assert losses.pop("rows") == (["unavailable"] if executor == "dask" else ["repr"])
        assert losses == {
            "circle": ["repr"],
            "digits": ["repr"],
            "large": ["cut"],
            "nan": ["repr"],
            "nested": ["repr"],
            "tuple": ["repr"],
        }
        assert "generator" in results["rows"]


class TestShape:
    def test_a_run(self) -> None:
        """Names, times, counts, and what became of each task; what has no value is null."""
        run = RunProgress(["a", "m", "b", "i"], {"b": ["m"]}, implicit=["i"])
        run.on_task_runs(
            [
                record("a", "Running", run_count=1, visit=1, start_time=100.0),
                record("a", "Running", run_count=1, visit=2, start_time=100.0),
                record("a", "Success", run_count=1, visit=2, start_time=100.0, end_time=102.5, message="well"),
                record("m", "Mapped", map_size=2, message="mapped"),
                record("m", "Success", 0, run_count=1, start_time=103.0, end_time=104.0),
                record("m", "Failed", 1, message="cold", traceback="T", run_count=1, state_class="QualityFailed"),
                record("b", "TriggerFailed", message="no"),
                record("i", "Success"),
            ]
        )
        flow = FlowRunRecord("Failed", "bad", "VeryPoor")
        states = {"a": Success(result=1), "b": Failed("no")}
        outcome = document(run_outcome("kiln", "id", flow, (99.5, 105.75), run, states))
        assert checked(outcome) == {
            "version": 1,
            "flow": "kiln",
            "runId": "id",
            "state": "Failed",
            "stateClass": "VeryPoor",
            "message": "bad",
            "startTime": "1970-01-01T00:01:39.500Z",
            "endTime": "1970-01-01T00:01:45.750Z",
            "duration": 6.25,
            "counts": {"Success": 2, "Failed": 1, "TriggerFailed": 1},
            "tasks": [
                {
                    "name": "a",
                    "state": "Success",
                    "stateClass": None,
                    "message": "well",
                    "runCount": 2,
                    "startTime": "1970-01-01T00:01:40.000Z",
                    "endTime": "1970-01-01T00:01:42.500Z",
                    "duration": 2.5,
                    "children": None,
                    "becauseOf": [],
                    "failures": [],
                },
                {
                    "name": "m",
                    "state": "Failed",
                    "stateClass": None,
                    "message": "mapped",
                    "runCount": 1,
                    "startTime": "1970-01-01T00:01:43.000Z",
                    "endTime": "1970-01-01T00:01:44.000Z",
                    "duration": 1.0,
                    "children": {"Success": 1, "Failed": 1},
                    "becauseOf": [],
                    "failures": [
                        {
                            "name": "m[1]",
                            "state": "Failed",
                            "stateClass": "QualityFailed",
                            "message": "cold",
                            "traceback": "T",
                            "runCount": 1,
                        }
                    ],
                },
                {
                    "name": "b",
                    "state": "TriggerFailed",
                    "stateClass": None,
                    "message": "no",
                    "runCount": 0,
                    "startTime": None,
                    "endTime": None,
                    "duration": None,
                    "children": None,
                    "becauseOf": ["m"],
                    "failures": [
                        {
                            "name": "b",
                            "state": "TriggerFailed",
                            "stateClass": None,
                            "message": "no",
                            "traceback": "",
                            "runCount": 0,
                        }
                    ],
                },
            ],
            "results": {"a": 1},
            "losses": {},
        }

    def test_a_skip_has_no_result(self) -> None:
        """The signal that skipped a task is none."""
        run = RunProgress(["a"])
        run.on_task_runs([record("a", "Skipped")])
        outcome = run_outcome("kiln", "id", FlowRunRecord("Success"), (0.0, 1.0), run, {"a": Skipped()})
        assert outcome.results == {"a": None}

    def test_very_many_failures(self) -> None:
        """Their number is in the counts of the children."""
        run = RunProgress(["m"])
        run.on_task_runs([record("m", "Failed", index) for index in range(2 * MAX_FAILURES)])
        (task,) = run_outcome("kiln", "id", FlowRunRecord("Failed"), (0.0, 1.0), run, {}).tasks
        assert len(task.failures) == MAX_FAILURES
        assert task.children == {"Failed": 2 * MAX_FAILURES}


class TestSchema:
    def test_it_is_not_stale(self) -> None:
        """The file in schemas/ is what is generated."""
        assert json.loads((ROOT / "schemas" / FILE_NAME).read_text(encoding="utf-8")) == schema()
        assert main(["--check", str(ROOT / "schemas")], standalone_mode=False) is None

    def test_every_field_is_described(self) -> None:
        """What a field means stands in the schema."""
        described = schema()
        for kind in (described, *described["$defs"].values()):
            assert kind["required"] == list(kind["properties"])
            assert all("description" in field for field in kind["properties"].values())
