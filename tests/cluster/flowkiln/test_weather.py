"""The weather flow of examples/, on a real cluster: right figures, real workers, and a status that follows it."""

from __future__ import annotations

import csv
import io
import json
import re
import sys
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import pandas
import pytest
import vega_datasets

from flowkiln.loading import load_file

from .flows import EXAMPLES, example
from .runs import FLOW_RUN, Runs, condition, state, task_status
from .transitions import illegal_steps
from .watching import Logs, Version

MONTHS = 12
FIGURES = ("low", "mean", "high", "trend")
TWO_WORKERS = """
from distributed import worker_client


def wait_for_both():
    with worker_client(separate_thread=False) as client:
        client.wait_for_workers(2, timeout=120)
"""
HOLD = "until [ -e /tmp/seen ]; do sleep 0.1; done"

Summary = dict[str, Any]


@dataclass(frozen=True)
class Weather:
    """What was seen of two runs of the weather flow that ran at the same time."""

    run: dict[str, Any]  # examples/weather as it is
    versions: dict[str, list[Version]]
    held: dict[str, Any]  # the same in Fahrenheit, by a held copy of the flow
    report: Summary
    held_report: Summary
    files: dict[str, str]
    table_while_running: str
    table_at_the_end: str
    worker_pods: dict[str, str]  # name → FlowRun
    scheduler_pods: dict[str, str]


@pytest.fixture(scope="module")
def weather(shared_runs: Runs) -> Weather:
    """Run the example as its README says, and a copy of it that can be looked at while its report is there."""
    runs = shared_runs
    held_flow = held_copy(example("weather", "flow.yaml"))
    held_run = example("weather", "flowrun.yaml")
    held_run["metadata"]["name"] = "weather-held"
    held_run["spec"] = {"flowRef": {"name": "weather-held"}, "parameters": {"unit": "fahrenheit"}}
    with runs.record() as recorded, runs.record_pods() as pods, runs.follow_logs() as logs:
        runs.kubectl("apply", *(f"--filename={EXAMPLES / 'weather' / name}" for name in ("flow.yaml", "flowrun.yaml")))
        runs.apply(held_flow, held_run)
        held = runs.wait_until("weather-held", "has written its report", is_holding)
        table_while_running = runs.kubectl("get", FLOW_RUN)
        files = report_files(runs, held)
        runs.kubectl("wait", "--for=condition=Finished", f"{FLOW_RUN}/weather-2010", "--timeout=360s")
        held = runs.finish("weather-held")
        table_at_the_end = runs.kubectl("get", FLOW_RUN)
        return Weather(
            run=runs.flow_run("weather-2010"),
            versions={name: recorded.of(name) for name in ("weather-2010", "weather-held")},
            held=held,
            report=logged_report(logs, "weather-2010"),
            held_report=logged_report(logs, "weather-held"),
            files=files,
            table_while_running=table_while_running,
            table_at_the_end=table_at_the_end,
            worker_pods=run_names(pods.versions, "worker"),
            scheduler_pods=run_names(pods.versions, "scheduler"),
        )


def held_copy(flow: dict[str, Any]) -> dict[str, Any]:
    """Add a task that waits for both workers before the work begins, and one that keeps them after the report.

    The flaky task's retry comes late enough to be seen on a slow machine too.
    """
    flow["metadata"]["name"] = "weather-held"
    spec = flow["spec"]
    next(task for task in spec["tasks"] if task["name"] == "verify")["retries"]["delay"] = "12s"
    spec["source"]["files"].append({"path": "two_workers.py", "content": TWO_WORKERS})
    next(task for task in spec["tasks"] if task["name"] == "extract")["after"] = ["both-workers"]
    spec["tasks"] += [
        {"name": "both-workers", "function": "two_workers:wait_for_both"},
        {"name": "hold", "command": ["sh", "-c", HOLD], "after": ["report"]},
    ]
    return flow


def is_holding(run: dict[str, Any]) -> bool:
    """Whether the task after the report runs."""
    return bool(task_status(run, "hold").get("state") == "Running")


def report_files(runs: Runs, held: dict[str, Any]) -> dict[str, str]:
    """Read the report's files in the worker that wrote them, then let all workers go on."""
    found: dict[str, str] = {}
    for pod in runs.pods(held, "worker"):
        name = pod["metadata"]["name"]
        there = runs.kubectl("exec", name, "--", "sh", "-c", "ls /tmp/weather-report 2>/dev/null || true").split()
        found |= {file: runs.kubectl("exec", name, "--", "cat", f"/tmp/weather-report/{file}") for file in there}
        runs.kubectl("exec", name, "--", "touch", "/tmp/seen")
    return found


def logged_report(logs: Logs, run: str) -> Summary:
    """Return the report that the run's worker has logged as one line of JSON."""
    line = logs.wait_for("worker", "weather report: ", pod=run)
    return cast(Summary, json.loads(line.partition("weather report: ")[2]))


def run_names(versions: list[Version], component: str) -> dict[str, str]:
    """Return the FlowRun of each pod of a kind."""
    return {
        version.name: version.object["metadata"]["annotations"]["flowkiln.dev/run-name"]
        for version in versions
        if version.object["metadata"]["labels"].get("dask.org/component") == component
    }


def computed_independently(unit: str) -> list[dict[str, Any]]:
    """Return readings, low, mean, high and trend of each month, by pandas and numpy from the data set's own package."""
    data: pandas.DataFrame = vega_datasets.data.seattle_temps()
    degrees = data["temp"] if unit == "fahrenheit" else (data["temp"] - 32) * 5 / 9
    return [
        {
            "month": month,
            "readings": len(some),
            "low": some.min(),
            "mean": some.mean(),
            "high": some.max(),
            "trend": theil_sen(some.to_numpy()),
        }
        for month, some in degrees.groupby(data["date"].dt.strftime("%Y-%m"))
    ]


def theil_sen(degrees: Any) -> float:
    """Return the median slope of all pairs of hourly readings, in degrees a day."""
    first, second = np.triu_indices(len(degrees), k=1)
    return float(24 * np.median((degrees[second] - degrees[first]) / (second - first)))


def close(months: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the figures of months for a comparison that knows how floats are rounded."""
    return [
        {
            **{name: month[name] for name in ("month", "readings")},
            **{n: pytest.approx(month[n], abs=1e-9) for n in FIGURES},
        }
        for month in months
    ]


def figures(months: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the figures of months without where they were computed."""
    return [{key: value for key, value in month.items() if key not in ("pod", "pid")} for month in months]


def test_run_succeeds(weather: Weather) -> None:
    """The example ends as Success, with the conditions that tools read, and each task in its final state."""
    status = weather.run["status"]
    assert state(weather.run) == "Success"
    statuses = {one["type"]: one["status"] for one in status["conditions"]}
    assert statuses == {
        "Succeeded": "True",
        "Finished": "True",
        "Reconciling": "False",
        "Stalled": "False",
        "ClusterReady": "False",
    }
    assert condition(weather.run, "Succeeded")["reason"] == "Succeeded"
    tasks = {task["name"]: task["state"] for task in status["tasks"]}
    assert tasks.pop("summarise") == "Mapped"
    assert set(tasks.values()) == {"Success"}
    assert task_status(weather.run, "summarise")["children"]["counts"] == {"Success": MONTHS}
    assert task_status(weather.run, "verify")["runCount"] == 2
    assert status["startTime"] <= status["completionTime"]


@pytest.mark.parametrize("unit", ["celsius", "fahrenheit"])
def test_figures_are_right(weather: Weather, unit: str) -> None:
    """Two runs at once, in different units, each report what pandas computes from the same data."""
    report = weather.report if unit == "celsius" else weather.held_report
    assert report["unit"] == unit
    assert figures(report["months"]) == close(computed_independently(unit))


def test_python_flow_on_this_machine_gives_the_same(weather: Weather, monkeypatch: pytest.MonkeyPatch) -> None:
    """The example's Python flow, run here without Kubernetes, reports exactly the numbers of the cluster's run."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    loaded = load_file(EXAMPLES / "weather" / "flow.py")
    final = loaded.flow.run(parameters={"output": "/tmp/flowkiln-weather-test"})
    assert final.is_successful()
    (report,) = [state.result for task, state in final.result.items() if task.name == "report"]
    assert figures(report["months"]) == figures(weather.report["months"])
    for name in ("readings", "low", "mean", "high", "coldest", "warmest"):
        assert report[name] == weather.report[name]


def test_report_is_a_table_and_a_plot(weather: Weather) -> None:
    """The report's task left a table with a row for each month and a plot with a bar for each month."""
    assert set(weather.files) == {"table.md", "table.csv", "plot.svg"}
    rows = list(csv.DictReader(io.StringIO(weather.files["table.csv"])))
    months = [{**row, "readings": int(row["readings"]), **{name: float(row[name]) for name in FIGURES}} for row in rows]
    assert months == close(computed_independently("fahrenheit"))
    assert len(re.findall(r"^\| 2010-\d\d ", weather.files["table.md"], re.MULTILINE)) == MONTHS
    assert weather.files["plot.svg"].startswith("<svg ")
    assert weather.files["plot.svg"].count("<circle ") == MONTHS


def test_work_runs_on_dask_workers(weather: Weather) -> None:
    """Each month's figures say in which pod they were computed: worker pods of that run, none in the agent's.

    Where a second worker was there from the beginning, it has taken part.
    """
    for name, report in (("weather-2010", weather.report), ("weather-held", weather.held_report)):
        places = {(month["pod"], month["pid"]) for month in report["months"]}
        print(f"{name}: {MONTHS} months were computed in {sorted(places)}")
        assert {weather.worker_pods.get(pod) for pod, _ in places} == {name}
        assert not {pod for pod, _ in places} & set(weather.scheduler_pods)
    assert len({month["pod"] for month in weather.held_report["months"]}) == 2


@pytest.mark.parametrize(("name", "least"), [("weather-2010", 2), ("weather-held", 3)])
def test_states_arrive_while_it_runs(weather: Weather, name: str, least: int) -> None:
    """A watch from `kubectl apply` on sees the run get on step by step, and no step that must not be.

    A slow API server is written to less often, and the example's few seconds may then fit between two reports.
    """
    versions = weather.versions[name]
    counts = [version.status["flow"]["counts"] for version in versions if version.status.get("flow", {}).get("counts")]
    distinct = {tuple(sorted(count.items())) for count in counts}
    print(f"{name}: {len(versions)} versions of the FlowRun, with the counts {[dict(count) for count in distinct]}")
    assert len(distinct) >= least
    assert "Running" in {version.status.get("state") for version in versions if "completionTime" not in version.status}
    assert illegal_steps(versions) == []


def test_flaky_task_is_seen_to_wait_for_its_retry(weather: Weather) -> None:
    """The status shows it Retrying while others get on: task runs are Running and reach their ends meanwhile."""
    versions = [version for version in weather.versions["weather-held"] if "completionTime" not in version.status]
    retrying = [version for version in versions if task_status(version.object, "verify").get("state") == "Retrying"]
    assert retrying
    assert any("Running" in version.status.get("flow", {}).get("counts", {}) for version in versions)
    assert retrying[-1].status["flow"]["counts"].get("Success", 0) >= 1


def test_kubectl_get_tells_state_progress_and_age(weather: Weather) -> None:
    """`kubectl get flowruns.flowkiln.dev` is enough to follow a run."""
    header, *rows = weather.table_while_running.splitlines()
    assert header.split()[0] == "NAME"
    assert {"STATE", "PROGRESS", "AGE"} <= set(header.split())
    held = next(row.split() for row in rows if row.startswith("weather-held"))
    assert "Running" in held
    assert re.search(r" \d+/\d+ ", " ".join(held))
    final = next(row.split() for row in weather.table_at_the_end.splitlines() if row.startswith("weather-2010"))
    total = sum(weather.run["status"]["flow"]["counts"].values())
    assert {"Success", f"{total}/{total}"} <= set(final)
    assert re.fullmatch(r"(\d+[dhms])+", final[-1])
