from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from flowkiln.loading.document_checks import check_documents
from flowkiln.loading.documents import read_documents

from .builders import flow_document, in_namespace, run_document, write_documents


def findings(path: Path, *documents: dict[str, Any]) -> list[str]:
    """What is said about documents of one file, without the place."""
    file = write_documents(path / "f.yaml", *documents)
    return [str(finding).partition(": ")[2] for finding in check_documents(read_documents([file]))]


def findings_in(path: Path, text: str) -> list[str]:
    """What is said about a text, without the file's name."""
    file = path / "f.yaml"
    file.write_text(text, encoding="utf-8")
    return [str(finding).removeprefix(f"{file}") for finding in check_documents(read_documents([file]))]


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
                "f.yaml:2:4: cannot be read: expected the node content, but found '<stream end>'",
            ),
            ("a: 1\na: 2\n", 'f.yaml:2:1: cannot be read: the key "a" is given in line 1 already'),
            ("- 1\n", "a document must be a mapping of fields to values"),
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
            ({"metadata": {"name": True}}, 'Flow: metadata.name: must be text: write "true", in quotes'),
            (
                {"metadata": {"name": "x", "labels": {"a": 1}}},
                "Flow 'x': metadata.labels.a: must be text: write \"1\", in quotes",
            ),
            (
                {"metadata": {"name": "x", "namespace": False}},
                "Flow 'x': metadata.namespace: must be text: write \"false\", in quotes",
            ),
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


class TestWhatWasWritten:
    """Messages keep what stands in the text, where YAML reads it as something else."""

    FLOW = "apiVersion: flowkiln.dev/v1alpha1\nkind: Flow\nmetadata: {name: x}\nspec:\n"

    @pytest.mark.parametrize(
        ("spec", "said"),
        [
            (
                "  tasks: [{name: no, command: [echo, yes, 0644, 1_000, .5]}]",
                [
                    ":5:12: Flow 'x': spec.tasks[0].name: must be text: write \"no\", in quotes",
                    ":5:38: Flow 'x': spec.tasks[0].command[1]: must be text: write \"yes\", in quotes",
                    ":5:43: Flow 'x': spec.tasks[0].command[2]: must be text: write \"0644\", in quotes",
                    ":5:49: Flow 'x': spec.tasks[0].command[3]: must be text: write \"1_000\", in quotes",
                    ":5:56: Flow 'x': spec.tasks[0].command[4]: must be text: write \".5\", in quotes",
                ],
            ),
            (
                "  tasks: [{name: a, command: [b]}]\n  parameters: [{name: p, schema: {type: string}, default: 010}]",
                [
                    ":6:50: Flow 'x': spec.parameters[0].default: 010, which YAML reads as 8, is not of type 'string'; "
                    'for text, write "010"'
                ],
            ),
            (
                "  tasks: [{name: a, command: [b]}]\n  parameters:\n  - {name: p, schema: {type: integer}, default: y}",
                [":7:40: Flow 'x': spec.parameters[0].default: y, which YAML reads as true, is not of type 'integer'"],
            ),
            (
                "  tasks: [{name: a, command: [b]}]\n  parameters:\n  - {name: p, schema: {type: string}, default: 12}",
                [":7:39: Flow 'x': spec.parameters[0].default: 12 is not of type 'string'; for text, write \"12\""],
            ),
            (
                "  parameters: [{name: p, default: .inf}]\n  tasks: [{name: a, command: [b]}]",
                [":5:35: cannot be read: .inf cannot be written in JSON, so Kubernetes refuses it"],
            ),
        ],
    )
    def test_it_is_quoted(self, tmp_path: Path, spec: str, said: list[str]) -> None:
        """Place and advice are about the text."""
        assert findings_in(tmp_path, self.FLOW + spec + "\n") == said

    def test_json_has_values_only(self, tmp_path: Path) -> None:
        """A file of JSON is checked the same; what was written is what JSON shows."""
        file = tmp_path / "f.json"
        file.write_text(json.dumps(flow_document("x", tasks=[{"name": True, "command": ["b"]}])))
        (finding,) = check_documents(read_documents([file]))
        assert str(finding) == f"{file}: Flow 'x': spec.tasks[0].name: must be text: write \"true\", in quotes"


class TestLists:
    @pytest.mark.parametrize("kind", ["List", "FlowList"])
    def test_the_items_are_read(self, tmp_path: Path, kind: str) -> None:
        """As `kubectl get --output=yaml` writes several objects; problems are placed inside of the list."""
        good, bad = flow_document("x"), flow_document("k", tasks=[{"name": "a", "functoin": "a:b"}])
        listed = {"apiVersion": "v1", "kind": kind, "items": [good, bad]}
        file = write_documents(tmp_path / "f.yaml", listed)
        documents = read_documents([file])
        assert [flow.name for flow in documents.flows] == ["x"]
        (finding,) = documents.findings
        line = file.read_text().splitlines()[(finding.line or 0) - 1]
        assert line.strip() == "- functoin: a:b"
        assert 'did you mean "function"' in str(finding)

    def test_a_list_in_a_list(self, tmp_path: Path) -> None:
        """kubectl does not look into it, and says something else."""
        inner = {"apiVersion": "v1", "kind": "List", "items": [flow_document("x")]}
        assert findings(tmp_path, {"apiVersion": "v1", "kind": "List", "items": [inner]}) == [
            "items[0]: kubectl does not read a list inside a list either"
        ]

    def test_an_item_that_is_no_object(self, tmp_path: Path) -> None:
        """It is told like a document that is none."""
        assert findings(tmp_path, {"apiVersion": "v1", "kind": "List", "items": [1]}) == [
            "a document must be a mapping of fields to values"
        ]


class TestTogether:
    def test_two_flows_of_one_name(self, tmp_path: Path) -> None:
        """The second would replace the first; where they are in different namespaces they are two."""
        first, second = tmp_path / "a.yaml", tmp_path / "b.yaml"
        write_documents(first, flow_document("x"))
        write_documents(second, flow_document("k"), flow_document("x"), in_namespace("dev", flow_document("x")))
        (finding,) = check_documents(read_documents([first, second]))
        assert str(finding).endswith(f"Flow 'x': metadata.name: {first}:1 has a Flow \"x\" already; rename one of them")
        assert finding.file == second

    def test_one_file_given_twice_is_one(self, tmp_path: Path) -> None:
        """A pattern of the shell may name a file that is also named by itself."""
        file = write_documents(tmp_path / "f.yaml", flow_document("x"))
        assert check_documents(read_documents([file, file])) == []

    @pytest.mark.parametrize(
        ("flows", "reference", "said"),
        [
            (["weather"], "wether", 'there is no Flow "wether"; did you mean "weather"?'),
            ([], "wether", None),
            (["weather"], "weather", None),
        ],
    )
    def test_a_reference_to_no_flow(self, tmp_path: Path, flows: list[str], reference: str, said: str | None) -> None:
        """It is a finding where there are Flows; a FlowRun alone may refer to one in the cluster."""
        run = run_document("r", flowRef={"name": reference})
        told = findings(tmp_path, *map(flow_document, flows), run)
        assert told == ([] if said is None else [f"FlowRun 'r': spec.flowRef.name: {said}"])

    def test_a_reference_to_a_flow_with_problems(self, tmp_path: Path) -> None:
        """The Flow is there, whatever is wrong with it."""
        broken = flow_document("x", tasks=[])
        (said,) = findings(tmp_path, broken, run_document("r", flowRef={"name": "x"}))
        assert said.startswith("Flow 'x': spec.tasks: must have at least 1 item")

    def test_a_reference_into_another_namespace(self, tmp_path: Path) -> None:
        """A run finds flows of its own namespace only."""
        flow = in_namespace("dev", flow_document("x"))
        run = in_namespace("prod", run_document("r", flowRef={"name": "x"}))
        (said,) = findings(tmp_path, flow, run)
        assert 'the Flow "x" is in another namespace than the run, "prod"' in said
