"""What `flowkiln run` makes of files and parameters, on every executor."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from .builders import invoke

EXECUTORS = ["local", "sync", "threads", "dask"]

FLOW = """
apiVersion: flowkiln.dev/v1alpha1
kind: Flow
metadata: {name: kiln}
spec:
  parameters:
  - {name: rate, default: 1e-3}
  - {name: answer, default: y}
  - {name: start, default: 12:30}
  - {name: code, default: 08}
  - {name: mode, default: 0o777}
  - {name: commit, optional: true}
  - {name: day, optional: true, schema: {type: string}}
  - {name: count, optional: true, schema: {type: integer}}
  source:
    files:
    - path: kiln_shown.py
      content: |
        def show(**given): return {name: repr(value) for name, value in given.items()}
  tasks:
  - {name: head, command: [echo, 6e12345]}
  - {name: twice, command: [echo, '{"a": 1, "a": 2}']}
  - name: show
    function: "kiln_shown:show"
    inputs:
    - {name: rate, parameter: rate}
    - {name: answer, parameter: answer}
    - {name: start, parameter: start}
    - {name: code, parameter: code}
    - {name: mode, parameter: mode}
    - {name: commit, parameter: commit}
    - {name: day, parameter: day}
    - {name: count, parameter: count}
    - {name: head, task: head}
    - {name: twice, task: twice}
"""


def run_json(*arguments: str | Path) -> dict[str, Any]:
    """Run a flow with --json and give what was printed."""
    outcome = json.loads(invoke("run", "--json", "--quiet", *arguments).stdout)
    assert isinstance(outcome, dict)
    return outcome


@pytest.mark.parametrize("executor", EXECUTORS)
def test_values_reach_the_task_as_in_a_cluster(tmp_path: Path, executor: str) -> None:
    """Defaults as kubectl reads them, typed parameters by their schemas, results of programs by the letter of JSON."""
    file = tmp_path / "kiln.yaml"
    file.write_text(FLOW)
    typed = ["-p", "commit=6e12345", "-p", "day=20200219", "-p", "count=5.0"]
    outcome = run_json(file, "--executor", executor, "--workers", "1", *typed)
    assert outcome["results"]["show"] == {
        "rate": "0.001",
        "answer": "True",
        "start": "'12:30'",
        "code": "8",
        "mode": "511",
        "commit": "'6e12345'",
        "day": "'20200219'",
        "count": "5",
        "head": "'6e12345'",
        "twice": '\'{"a": 1, "a": 2}\'',
    }


@pytest.mark.parametrize("name", ["kiln-dash.py", "2kiln.py", "kiln with blanks.py"])
def test_workers_find_files_of_any_name_without_dots(tmp_path: Path, name: str) -> None:
    """Functions of the file travel by the name of its module."""
    file = tmp_path / name
    file.write_text(
        "import os, sys\nfrom flowkiln import Flow, task\n@task\ndef where(): return [__name__, os.getpid()]\n"
        "with Flow('kiln') as flow: where()\n"
    )
    outcome = run_json(file, "--executor", "dask", "--workers", "1")
    assert outcome["state"] == "Success"
    assert file.stem in json.dumps(outcome["results"])


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("kiln_exit.py", "import sys\nsys.exit(0)\n", "importing it raised SystemExit: 0"),
        ("kiln_quit.py", "raise SystemExit\n", "importing it raised SystemExit"),
        ("kiln_stop.py", "raise KeyboardInterrupt\n", "importing it raised KeyboardInterrupt"),
        ("kiln.v2.py", "", "give the file a name without dots, such as kiln_v2.py"),
    ],
)
def test_files_that_cannot_be_loaded(tmp_path: Path, name: str, text: str, said: str) -> None:
    """The exit code is 3 whatever the module wanted it to be, and the last line says why."""
    file = tmp_path / name
    file.write_text(text)
    ended = invoke("run", file, "--executor", "local")
    assert ended.exit_code == 3
    assert ended.stderr.splitlines()[-1].startswith(f"Error: {file}: ")
    assert ended.stderr.rstrip().endswith(said)


@pytest.mark.parametrize(
    ("text", "options", "said"),
    [
        (FLOW, ["-p", "count=ten"], "Error: -p count=ten: 'ten' is not of type 'integer'"),
        (FLOW, ["-p", "dya=1"], 'Error: -p dya=1: there is no parameter "dya"; did you mean "day"?'),
        (FLOW + "x: [\n", [], "Error: {file}:37:1: cannot be read: expected the node content"),
        (FLOW + "---\n" + FLOW, [], "Error: {file}:40:12: Flow 'kiln': metadata.name: "),
        (FLOW.replace("1e-3", ".inf"), [], "Error: {file}:7:27: cannot be read: .inf cannot be written in JSON"),
        (
            FLOW.replace("name: show", "name: no"),
            [],
            "Error: {file}:23:5: Flow 'kiln': spec.tasks[2].name: must be text",
        ),
    ],
)
def test_problems_name_their_place(tmp_path: Path, text: str, options: list[str], said: str) -> None:
    """A problem of a document has file, line and column; one of an option repeats it. The exit code is 2."""
    file = tmp_path / "kiln.yaml"
    file.write_text(text)
    ended = invoke("run", file, "--executor", "local", *options)
    assert ended.exit_code == 2
    assert ended.stderr.startswith(said.format(file=file))


def test_parameters_of_a_file_are_values_already(tmp_path: Path) -> None:
    """They are YAML, so quotes make text there; -p wins."""
    file, given = tmp_path / "kiln.yaml", tmp_path / "given.yaml"
    file.write_text(FLOW)
    given.write_text("day: 20200219\n")
    ended = invoke("run", file, "--executor", "local", "--parameters", given)
    assert ended.stderr == f"Error: {file}: Flow 'kiln': parameters.day: 20200219 is not of type 'string'\n"
    outcome = run_json(file, "--executor", "local", "--parameters", given, "-p", "day=1")
    assert outcome["results"]["show"]["day"] == "'1'"
