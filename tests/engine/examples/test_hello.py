from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.engine.cli.builders import PROGRAM, invoke

FOLDER = Path(__file__).parents[3] / "examples" / "hello"


class TestHello:
    @pytest.mark.parametrize(
        ("arguments", "greeting"),
        [
            (["flow.py"], "Hello, world!"),
            (["flow.py", "-p", "name=you"], "Hello, you!"),
            (["flow.yaml"], "Hello, world!"),
            (["flow.yaml", "flowrun.yaml"], "Hello, Kubernetes!"),
            (["flow.yaml", "flowrun.yaml", "-p", "name=you"], "Hello, you!"),
        ],
    )
    def test_both_forms(self, arguments: list[str], greeting: str) -> None:
        """The greeting is the result and in the log."""
        program = [*PROGRAM, "run", *arguments, "--json", "--executor", "local"]
        ended = subprocess.run(program, cwd=FOLDER, capture_output=True, text=True, check=True)
        assert json.loads(ended.stdout)["results"] == {"greet": greeting}
        assert f"greet | {greeting}" in ended.stderr


class TestAllExamples:
    def test_documents_are_valid(self) -> None:
        """What we publish passes our own lint."""
        files = sorted(FOLDER.parent.glob("*/*.yaml"))
        ended = invoke("lint", *files)
        pairs = len(files) // 2
        assert (ended.exit_code, ended.output) == (0, f"{pairs} Flows and {pairs} FlowRuns are valid.\n")
