from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.engine.loading.builders import flow_document, in_namespace, run_document, write_documents

from .builders import invoke


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
        assert [line.split(" ")[0] for line in lines] == [f"{first}:", f"{second}:"]
        assert "Flow 'x': spec.tasks[0]" in lines[0]
        assert "FlowRun 'r': spec.parameters.y: there is no parameter" in lines[1]

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
            ("prod", ["dev"], 0),
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
