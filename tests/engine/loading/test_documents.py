from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from flowkiln.loading.documents import check_documents, read_documents

from .builders import flow_document, run_document, write_documents


def findings(path: Path, *documents: dict[str, Any]) -> list[str]:
    """What is said about documents of one file, without the file's name."""
    file = write_documents(path / "f.yaml", *documents)
    return [str(finding).removeprefix(f"{file}: ") for finding in check_documents(read_documents([file]))]


class TestReading:
    def test_flows_and_runs_of_several_files(self, tmp_path: Path) -> None:
        """All files count as one set; other kinds are passed over."""
        other = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x"}}
        first = write_documents(tmp_path / "a.yaml", other, flow_document("weather"))
        second = write_documents(tmp_path / "b.yaml", run_document("weather-1", flowRef={"name": "weather"}))
        documents = read_documents([first, second])
        assert [flow.name for flow in documents.flows] == ["weather"]
        assert [run.name for run in documents.runs] == ["weather-1"]
        assert check_documents(documents) == []

    def test_a_generated_name(self, tmp_path: Path) -> None:
        """A FlowRun for `kubectl create` has only the beginning of a name."""
        document = run_document("", flowRef={"name": "weather"})
        document["metadata"] = {"generateName": "weather-"}
        (run,) = read_documents([write_documents(tmp_path / "f.yaml", document)]).runs
        assert run.name == "weather"

    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ("", "holds no Flow and no FlowRun"),
            ("kind: Pod\napiVersion: v1\n", "holds no Flow and no FlowRun"),
            (
                "a:\n- [",
                "f.yaml: is no YAML: line 2, column 4, while parsing a flow node that begins in line 2: expected",
            ),
            ("a: 1\na: 2\n", 'f.yaml: is no YAML: line 2, column 1: the key "a" is given in line 1 already'),
            ("- 1\n", "a document is no mapping of fields to values"),
        ],
    )
    def test_files_without_a_flow(self, tmp_path: Path, text: str, said: str) -> None:
        """A file that cannot be what was meant is a finding."""
        file = tmp_path / "f.yaml"
        file.write_text(text)
        (finding,) = read_documents([file]).findings
        assert said in str(finding)

    def test_a_missing_file(self, tmp_path: Path) -> None:
        """The file is named."""
        (finding,) = read_documents([tmp_path / "f.yaml"]).findings
        assert str(finding) == f"{tmp_path / 'f.yaml'}: cannot be read (No such file or directory)"

    @pytest.mark.parametrize(
        ("change", "said"),
        [
            (
                {"apiVersion": "flowkiln.dev/v1"},
                'Flow \'x\': apiVersion: must be "flowkiln.dev/v1alpha1", not "flowkiln.dev/v1"',
            ),
            ({"kind": "Flows"}, 'Flows \'x\': kind: there is no kind "Flows"; did you mean "Flow"?'),
            ({"Spec": {}}, 'Flow \'x\': Spec: there is no field "Spec"; did you mean "spec"?'),
            ({"metadata": {}}, "Flow: metadata.name: is required, as text"),
            (
                {"metadata": {"name": "Big"}},
                "Flow 'Big': metadata.name: \"Big\" is not allowed: write lower-case letters",
            ),
            ({"spec": None}, "Flow 'x': spec: "),
            ({"spec": {"taks": []}}, 'Flow \'x\': spec.taks: there is no field "taks"; did you mean "tasks"?'),
        ],
    )
    def test_frames(self, tmp_path: Path, change: dict[str, Any], said: str) -> None:
        """What surrounds a spec is checked as well as the spec."""
        assert findings(tmp_path, {**flow_document("x"), **change})[0].startswith(said)

    def test_a_document_without_spec(self, tmp_path: Path) -> None:
        """It is said, once."""
        document = flow_document("x")
        del document["spec"]
        assert findings(tmp_path, document) == ["Flow 'x': spec: is required"]


class TestChecking:
    def test_the_operators_words(self, tmp_path: Path) -> None:
        """A reference to nothing is told with its field."""
        tasks = [{"name": "a", "function": "os:getcwd", "after": ["b"]}]
        (said,) = findings(tmp_path, flow_document("x", tasks=tasks))
        assert said.startswith("Flow 'x': spec.tasks[0].after[0]: ")

    def test_parameters_are_compared_with_the_flow(self, tmp_path: Path) -> None:
        """If the Flow is known, what the run gives must fit it; if not, that is left open."""
        flow = flow_document("x", parameters=[{"name": "year", "schema": {"type": "integer"}}])
        run = run_document("x-1", flowRef={"name": "x"}, parameters={"year": "old"})
        (said,) = findings(tmp_path, flow, run)
        assert said.startswith("FlowRun 'x-1': spec.parameters.year: 'old' is not of type 'integer'")
        assert findings(tmp_path, run) == []
