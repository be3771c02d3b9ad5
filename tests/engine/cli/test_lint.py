from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.engine.loading.builders import flow_document, in_namespace, run_document, write_documents

from .builders import PROGRAM, invoke


class TestLint:
    def test_valid(self, tmp_path: Path) -> None:
        """What is fine is counted."""
        file = write_documents(tmp_path / "f.yaml", flow_document("x"), run_document("r", flowRef={"name": "x"}))
        ended = invoke("lint", file)
        assert (ended.exit_code, ended.output) == (0, "1 Flow and 1 FlowRun are valid.\n")

    def test_problems(self, tmp_path: Path) -> None:
        """Each is a line with file, object and field; the exit code is 2."""
        bad = flow_document("x", tasks=[{"name": "a", "function": "os:getcwd", "after": ["a"]}])
        first = write_documents(tmp_path / "a.yaml", bad)
        second = write_documents(tmp_path / "b.yaml", run_document("r", flowRef={"name": "x"}, parameters={"y": 1}))
        ended = invoke("lint", first, second)
        assert ended.exit_code == 2
        lines = ended.output.splitlines()
        assert [line.split(" ")[0] for line in lines] == [f"{first}:7:5:", f"{second}:9:5:"]
        assert "Flow 'x': spec.tasks[0]" in lines[0]
        assert "FlowRun 'r': spec.parameters.true: there is no parameter" in lines[1]
        assert lines[1].endswith('; the key is written y: write "y", in quotes')

    def test_no_code_is_imported(self, tmp_path: Path) -> None:
        """A function need not exist where its flow is checked."""
        file = write_documents(tmp_path / "f.yaml", flow_document("x", tasks=[{"name": "a", "function": "no:no"}]))
        assert invoke("lint", file).exit_code == 0

    def test_nothing_to_check(self) -> None:
        """Without a file the usage is shown."""
        assert invoke("lint").exit_code == 2

    @pytest.mark.parametrize(
        ("run_in", "flows_in", "findings"),
        [
            ("prod", ["dev", "prod"], 0),
            ("dev", ["prod", "dev"], 1),
            ("", ["dev", "prod"], 1),
            ("dev", [""], 1),
            ("prod", ["", "prod"], 0),
        ],
    )
    def test_a_run_is_compared_with_the_flow_of_its_namespace(
        self, tmp_path: Path, run_in: str, flows_in: list[str], findings: int
    ) -> None:
        """Only prod's flow has the parameter. Where one of both writes no namespace, the name alone counts."""

        def placed(namespace: str, document: dict[str, Any]) -> dict[str, Any]:
            return in_namespace(namespace, document) if namespace else document

        declared = {"prod": [{"name": "year"}]}
        flows = [placed(where, flow_document("k", parameters=declared.get(where, []))) for where in flows_in]
        run = placed(run_in, run_document("r", flowRef={"name": "k"}, parameters={"year": 1}))
        ended = invoke("lint", write_documents(tmp_path / "f.yaml", *flows, run))
        assert ended.output.count("there is no parameter") == findings
        assert ended.exit_code == (2 if findings else 0)

    def test_hints_for_users_of_other_tools(self, tmp_path: Path) -> None:
        """What is written elsewhere is answered with what is written here."""
        file = tmp_path / "f.yaml"
        file.write_text(
            "apiVersion: flowkiln.dev/v1alpha1\nkind: Flow\nmetadata: {name: x}\nspec:\n  tasks:\n"
            "  - {name: a, command: [echo]}\n"
            "  - name: b\n    command: [echo]\n    trigger: any_failed\n    upstream: [a]\n"
        )
        assert invoke("lint", file).output.splitlines() == [
            f"{file}:9:5: Flow 'x': spec.tasks[1].trigger: must be a mapping: write {{rule: AnyFailed}}",
            f"{file}:10:5: Flow 'x': spec.tasks[1].upstream: there is no field \"upstream\"; "
            "write after: [names of tasks]; a task that takes another one's result has it among its inputs",
        ]


class TestStreams:
    @pytest.mark.parametrize("encoding", ["utf-8", "ascii", "latin-1"])
    def test_any_encoding(self, tmp_path: Path, encoding: str) -> None:
        """What the stream cannot say is replaced; a file's name may be no text at all."""
        file = tmp_path / os.fsdecode(b"k\xe9.yaml")
        write_documents(file, flow_document("x", tasks=[{"name": "é", "command": ["a"], "inputs": {"k": 1}}]))
        program = [*PROGRAM, "lint", os.fsencode(file)]
        environment = {**os.environ, "PYTHONIOENCODING": encoding}
        ended = subprocess.run(program, env=environment, capture_output=True, check=False)
        assert (ended.returncode, ended.stderr) == (2, b"")
        assert b"k\\udce9.yaml:9:5: Flow 'x': spec.tasks[0].inputs: must be a list" in ended.stdout

    def test_nobody_reads(self, tmp_path: Path) -> None:
        """The exit code is the same when the reader has gone, and there is no traceback."""
        file = write_documents(tmp_path / "f.yaml", flow_document("x", tasks=[{"name": True, "command": ["a"]}]))
        read, written = os.pipe()
        os.close(read)
        with open(written, "wb") as gone:
            ended = subprocess.run([*PROGRAM, "lint", file], stdout=gone, stderr=subprocess.PIPE, check=False)
        assert (ended.returncode, ended.stderr) == (2, b"")


class TestJson:
    def test_findings(self, tmp_path: Path) -> None:
        """One list of objects with the same keys, for editors and CI; the exit code is the same."""
        bad = write_documents(tmp_path / "a.yaml", flow_document("x", tasks=[{"name": "a", "command": [True]}]))
        worse = tmp_path / "b.yaml"
        worse.write_text("a: [\n")
        ended = invoke("lint", "--json", bad, worse, tmp_path / "none.yaml")
        assert ended.exit_code == 2
        assert json.loads(ended.output) == [
            {
                "file": str(bad),
                "document": "Flow 'x'",
                "field": "spec.tasks[0].command[0]",
                "message": 'must be text: write "true", in quotes',
                "line": 8,
                "column": 7,
            },
            {
                "file": str(worse),
                "document": None,
                "field": None,
                "message": "cannot be read: expected the node content, but found '<stream end>'",
                "line": 2,
                "column": 1,
            },
            {
                "file": str(tmp_path / "none.yaml"),
                "document": None,
                "field": None,
                "message": "cannot be read (No such file or directory)",
                "line": None,
                "column": None,
            },
        ]

    def test_nothing_found(self, tmp_path: Path) -> None:
        """An empty list, and nothing else."""
        ended = invoke("lint", "--json", write_documents(tmp_path / "f.yaml", flow_document("x")))
        assert (ended.exit_code, json.loads(ended.output)) == (0, [])


class TestPython:
    FLOW = "from flowkiln import Flow, Task\na, b = Task('a'), Task('b')\nflow = Flow('x')\n"

    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ("x = 1\n1 / 0\n", ":2:1: importing it raised ZeroDivisionError: division by zero"),
            ("x = 1\nif x:\n", ":2:"),
            ("import sys\nsys.exit(0)\n", ":2:1: importing it raised SystemExit: 0"),
            ("import kiln_nowhere\n", ":1:1: importing it raised ModuleNotFoundError: No module named 'kiln_nowhere'"),
            ("x = 1\n", ": there is no flow at module level"),
            (FLOW + "flow.add_edge(a, b)\nflow.add_edge(b, a, validate=False)\n", ": flow 'x': "),
            (FLOW + "flow.add_edge(a, b, key='no name')\n", ":4:1: importing it raised ValueError"),
        ],
    )
    def test_findings(self, tmp_path: Path, text: str, said: str) -> None:
        """What importing raises and what is wrong with a graph, with the line where it is known."""
        file = tmp_path / "kiln_lint.py"
        file.write_text(text)
        ended = invoke("lint", file)
        assert ended.exit_code == 2
        assert ended.output.startswith(f"{file}{said}")
        assert len(ended.output.splitlines()) == 1

    def test_all_flows_are_checked(self, tmp_path: Path) -> None:
        """Unlike `run`, it needs none to be chosen; what the code prints is not on standard output."""
        file = tmp_path / "kiln_lint.py"
        file.write_text("print('hello')\n" + self.FLOW + "same = flow\nother = Flow('y')\n")
        ended = invoke("lint", file)
        assert (ended.exit_code, ended.stdout) == (0, "2 Flows and 0 FlowRuns are valid.\n")
        assert json.loads(invoke("lint", "--json", file).stdout) == []

    def test_beside_documents(self, tmp_path: Path) -> None:
        """Files of both kinds can be given together."""
        script = tmp_path / "kiln_lint.py"
        script.write_text(self.FLOW)
        ended = invoke("lint", script, write_documents(tmp_path / "f.yaml", flow_document("x")))
        assert ended.stdout == "2 Flows and 0 FlowRuns are valid.\n"
