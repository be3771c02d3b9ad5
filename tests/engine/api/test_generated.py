"""The command that writes what is made from code."""

from __future__ import annotations

from pathlib import Path

from click.testing import CliRunner

from flowkiln.api.generated import generator


def test_what_is_no_longer_made_goes(tmp_path: Path) -> None:
    """A file that nobody makes any more is told of by --check, and removed; other files are nobody's business."""
    main = generator("the files", tmp_path, lambda: {"made/a.yaml": "a"}, nothing_else_in="made/*.yaml")
    (tmp_path / "made").mkdir()
    for name in ("made/old.yaml", "made/notes.txt", "other.yaml"):
        (tmp_path / name).write_text("")
    checked = CliRunner().invoke(main, ["--check"])
    assert checked.exit_code == 1
    assert "a.yaml" in checked.output
    assert "old.yaml" in checked.output
    assert CliRunner().invoke(main, []).exit_code == 0
    assert {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.*")} == {
        "made/a.yaml",
        "made/notes.txt",
        "other.yaml",
    }
    assert CliRunner().invoke(main, ["--check"]).exit_code == 0
