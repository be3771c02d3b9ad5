from __future__ import annotations

from pathlib import Path

from tests.engine.loading.builders import flow_document, run_document, write_documents

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
