from __future__ import annotations

import csv
import hashlib
import importlib.resources
import json
import math
import re
import subprocess
import sys
import xml.etree.ElementTree
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from tests.engine.cli.builders import PROGRAM, start

FOLDER = Path(__file__).parents[3] / "examples" / "weather"
DATA = FOLDER / "data" / "seattle-temps.csv"
FORMS = {"python": ["flow.py"], "yaml": ["flow.yaml", "flowrun.yaml"]}


def independent_figures(unit: str) -> dict[str, dict[str, float]]:
    """Low, mean, high and number of readings by month and for the year, with numpy and by columns."""
    dates, temperatures = np.loadtxt(DATA, delimiter=",", skiprows=1, dtype=str, unpack=True)
    degrees = temperatures.astype(float)
    if unit == "celsius":
        degrees = (degrees - 32) * 5 / 9
    months = np.array([date[:7].replace("/", "-") for date in dates])
    groups = {str(month): degrees[months == month] for month in np.unique(months)} | {"year": degrees}
    return {
        name: {"readings": len(some), "low": some.min(), "mean": some.mean(), "high": some.max()}
        for name, some in groups.items()
    }


def figures(report: dict[str, Any]) -> dict[str, dict[str, float]]:
    """The same selection of a report."""
    names = ("readings", "low", "mean", "high")
    rows = [*report["months"], {**report, "month": "year"}]
    return {row["month"]: {name: row[name] for name in names} for row in rows}


@pytest.fixture(scope="module", params=[(form, unit) for form in FORMS for unit in ("celsius", "fahrenheit")], ids=str)
def outcome(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What `flowkiln run --json` prints about the flow in one of its forms, on two worker processes."""
    form, unit = request.param
    output = tmp_path_factory.mktemp("report")
    files = [str(FOLDER / name) for name in FORMS[form]]
    arguments = ["run", *files, "-p", f"unit={unit}", "-p", f"output={output}", "--json", "--workers", "2"]
    program = start(*arguments)
    printed, log = program.communicate()
    assert program.returncode == 0, log
    return {**json.loads(printed), "unit": unit, "output": output, "log": log, "pid": program.pid}


class TestRun:
    def test_figures(self, outcome: dict[str, Any]) -> None:
        """Both forms give, in both units, what an independent computation gives."""
        found, expected = figures(outcome["results"]["report"]), independent_figures(outcome["unit"])
        assert found.keys() == expected.keys()
        assert len(expected) == 13
        assert expected["year"]["readings"] == 8759
        for month, row in expected.items():
            for name, value in row.items():
                assert math.isclose(found[month][name], value, rel_tol=1e-12), (month, name)

    def test_extreme_months(self, outcome: dict[str, Any]) -> None:
        """The coldest and the warmest month are those by the mean."""
        means = {month: row["mean"] for month, row in independent_figures(outcome["unit"]).items() if month != "year"}
        report = outcome["results"]["report"]
        assert report["coldest"] == min(means, key=means.__getitem__)
        assert report["warmest"] == max(means, key=means.__getitem__)

    def test_states(self, outcome: dict[str, Any]) -> None:
        """All succeed: twelve children, and one task on its second attempt."""
        tasks = {task["name"]: task for task in outcome["tasks"]}
        assert outcome["state"] == "Success"
        assert tasks["summarise"]["children"] == {"Success": 12}
        assert {name: task["runCount"] for name, task in tasks.items() if task["runCount"] != 1} == {"verify": 2}
        assert outcome["results"]["report"]["verified"]["attempt"] == 2
        assert "verify: Retrying, again in" in outcome["log"]

    def test_where_children_ran(self, outcome: dict[str, Any]) -> None:
        """Each says in which process, and that is a worker's, not the command line's own."""
        pids = {month["pid"] for month in outcome["results"]["report"]["months"]}
        assert 1 <= len(pids) <= 2
        assert outcome["pid"] not in pids

    def test_files(self, outcome: dict[str, Any]) -> None:
        """The tables hold the figures, and the plot is an image with a bar for each month."""
        expected = independent_figures(outcome["unit"])
        with (outcome["output"] / "table.csv").open() as file:
            rows = {row["month"]: row for row in csv.DictReader(file)}
        assert [float(row["mean"]) for row in rows.values()] == pytest.approx(
            [row["mean"] for month, row in expected.items() if month != "year"], rel=1e-12
        )
        year = expected["year"]
        markdown = (outcome["output"] / "table.md").read_text()
        assert f"| year | 8759 | {year['low']:.2f} | {year['mean']:.2f} | {year['high']:.2f} |" in markdown
        plot = xml.etree.ElementTree.parse(outcome["output"] / "plot.svg")
        assert len(plot.findall("{http://www.w3.org/2000/svg}line")) == 12

    def test_log(self, outcome: dict[str, Any]) -> None:
        """The report is one line of JSON in the log, for whoever has nothing but that."""
        (line,) = re.findall(r"weather report: (\{.*\})", outcome["log"])
        assert json.loads(line) == outcome["results"]["report"]


class TestSource:
    def test_flow_yaml_carries_the_files_beside_it(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """The embedded code is weather.py, and the embedded data are those of the CSV file."""
        (flow,) = yaml.safe_load_all((FOLDER / "flow.yaml").read_text())
        for file in flow["spec"]["source"]["files"]:
            (tmp_path / file["path"]).write_text(file["content"])
        assert (tmp_path / "weather.py").read_text() == (FOLDER / "weather.py").read_text()
        program = "import sys, weather; sys.stdout.buffer.write(weather.read_data())"
        data = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, check=True).stdout
        assert data == DATA.read_bytes()

    def test_data_are_the_published_ones(self) -> None:
        """The file is that of vega_datasets, byte for byte, with the digest that the flow verifies."""
        published = importlib.resources.files("vega_datasets") / "_data" / "seattle-temps.csv"
        assert DATA.read_bytes() == published.read_bytes()
        assert hashlib.sha256(DATA.read_bytes()).hexdigest() in (FOLDER / "weather.py").read_text()

    def test_a_year_without_data(self) -> None:
        """The run fails and says which year there is."""
        arguments = ["run", str(FOLDER / "flow.py"), "-p", "year=1999", "--executor", "local"]
        ended = subprocess.run([*PROGRAM, *arguments], capture_output=True, text=True, check=False)
        assert ended.returncode == 1
        assert "no readings in 1999: the data cover 2010" in ended.stdout
