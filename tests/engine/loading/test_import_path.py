from __future__ import annotations

import importlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from flowkiln.loading.import_path import ImportPath


class TestImportPath:
    def test_modules_can_be_imported_here_and_by_new_processes(self, tmp_path: Path) -> None:
        """Both this process and one that it starts find a module of the folder."""
        (tmp_path / "kiln_shelf.py").write_text("TILES = 7\n")
        path = ImportPath(tmp_path)
        try:
            assert importlib.import_module("kiln_shelf").TILES == 7
            program = [sys.executable, "-c", "import kiln_shelf; print(kiln_shelf.TILES)"]
            assert subprocess.check_output(program, text=True).strip() == "7"
        finally:
            path.close()

    def test_close_leaves_no_trace(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Path, environment and module table are as before, a PYTHONPATH included; a second close is fine."""
        monkeypatch.setenv("PYTHONPATH", "/somewhere")
        (tmp_path / "kiln_shelf.py").write_text("")
        before = list(sys.path)
        path = ImportPath(tmp_path)
        importlib.import_module("kiln_shelf")
        path.close()
        path.close()
        assert sys.path == before
        assert os.environ["PYTHONPATH"] == "/somewhere"
        assert "kiln_shelf" not in sys.modules

    def test_modules_of_one_name_do_not_meet(self, tmp_path: Path) -> None:
        """Two folders, one after the other, may have modules of the same name."""
        found = []
        for tiles in (1, 2):
            folder = tmp_path / str(tiles)
            folder.mkdir()
            (folder / "kiln_shelf.py").write_text(f"TILES = {tiles}\n")
            path = ImportPath(folder)
            found.append(importlib.import_module("kiln_shelf").TILES)
            path.close()
        assert found == [1, 2]
