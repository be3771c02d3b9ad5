"""Modules beside a flow that have the names of others."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

import flowkiln
from flowkiln.loading import load_file
from flowkiln.utilities.exceptions import FlowLoadError
from tests.engine.cli.builders import invoke

from .builders import flow_document, write_documents

FLOW = "from flowkiln import Flow, task\n@task\ndef one(): return 1\nwith Flow('f') as flow: one()\n"

HIDING = ["calendar.py", "email.py", "logging.py", "queue.py", "random.py", "types.py", "numpy.py", "tornado.py"]


@pytest.mark.parametrize("name", [*HIDING, "email/__init__.py", "yaml/__init__.py"])
def test_a_module_beside_a_flow_that_hides_another(tmp_path: Path, name: str) -> None:
    """No worker process would start: it is refused in one sentence that names the file, and nothing else is changed."""
    before = list(sys.path)
    (tmp_path / "kiln_hiding.py").write_text(FLOW)
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text("SENDER = 'a@example.org'\n")
    hiding = (tmp_path / name).parent if "/" in name else tmp_path / name
    with pytest.raises(FlowLoadError) as refusal:
        load_file(tmp_path / "kiln_hiding.py")
    assert str(refusal.value).startswith(f"{hiding}: it hides the module '{hiding.stem}' that ")
    assert str(refusal.value).endswith(f"give the {'folder' if '/' in name else 'file'} another name")
    assert sys.path == before


def test_a_source_file_of_a_document_that_hides_another(tmp_path: Path) -> None:
    """Files in YAML are files beside the flow."""
    source = {"files": [{"path": "queue.py", "content": "def work(): return 1\n"}]}
    file = write_documents(
        tmp_path / "f.yaml", flow_document("x", source=source, tasks=[{"name": "work", "function": "queue:work"}])
    )
    with pytest.raises(FlowLoadError, match=r"queue\.py: it hides the module 'queue' that Python needs"):
        load_file(file)


def test_other_modules_are_found_by_worker_processes(tmp_path: Path) -> None:
    """Names that are nobody's are free, on the executor that starts processes too; a data folder hides nothing."""
    (tmp_path / "kiln_helped.py").write_text("import mailing\n" + FLOW.replace("return 1", "return mailing.SENDER"))
    (tmp_path / "mailing.py").write_text("SENDER = 'a@example.org'\n")
    (tmp_path / "email").mkdir()
    (tmp_path / "queue.txt").write_text("")
    ended = invoke("run", tmp_path / "kiln_helped.py", "--workers", "1", "--json")
    assert ended.exit_code == 0, ended.output
    assert "a@example.org" in ended.stdout


def test_the_sources_themselves_are_no_other_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A flow may lie in the folder that its own installation is imported from."""
    package = tmp_path / "flowkiln"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (tmp_path / "kiln_inside.py").write_text(FLOW)
    monkeypatch.setattr(flowkiln, "__file__", str(package / "__init__.py"))
    with load_file(tmp_path / "kiln_inside.py") as loaded:
        assert loaded.name == "f"
