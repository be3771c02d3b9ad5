from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

DASK = {"dask", "distributed"}
DOCUMENTS = {"pydantic", "jsonschema"}


def imported_by(*arguments: str, among: set[str]) -> set[str]:
    """Those of some modules that `flowkiln` imports while it carries out a command."""
    program = (
        "import sys\n"
        "from flowkiln.cli import main\n"
        "try:\n"
        f"    main({list(arguments)!r})\n"
        "except SystemExit as end:\n"
        "    assert not end.code, end.code\n"
        f"print('imported:', *({among!r} & set(sys.modules)), file=sys.stderr)\n"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    return set(ended.stderr.splitlines()[-1].split()[1:])


@pytest.fixture
def flow_file(tmp_path: Path) -> str:
    """A Python file with an empty flow."""
    path = tmp_path / "kiln_nothing.py"
    path.write_text("from flowkiln import Flow\nflow = Flow('nothing')\n")
    return str(path)


def test_help() -> None:
    """Help needs neither Dask nor pydantic nor rich."""
    assert imported_by("--help", among=DASK | DOCUMENTS | {"rich", "yaml", "kubernetes"}) == set()


@pytest.mark.parametrize(
    ("executor", "needs"), [("local", set()), ("sync", {"dask"}), ("threads", {"dask", "distributed"})]
)
def test_a_python_file(flow_file: str, executor: str, needs: set[str]) -> None:
    """A run imports of Dask what its executor needs, and nothing that only documents need."""
    assert imported_by("run", flow_file, "--executor", executor, among=DASK | DOCUMENTS) == needs
