"""The walk-throughs for contributors work as they are written."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = ROOT / "docs" / "contributing"
COPIED = ("engine", "operator", "tests", "docs", "crds", "schemas", "pyproject.toml", "charts", "manifests")
GENERATORS = (["-m", "flowkiln.api.crds"], ["docs/draw_states.py"], ["docs/write_reference.py"])
"""Those of `make generate` that these changes concern, and that take no seconds."""


def blocks(page: str, language: str) -> list[str]:
    """Return the fenced blocks of a page."""
    return re.findall(rf"^```{language}\n(.*?)^```$", (PAGES / page).read_text("utf-8"), re.DOTALL | re.MULTILINE)


def apply(diff: str, root: Path) -> None:
    """Apply the diff of one file. What a hunk keeps or removes must be in the file, exactly once."""
    (old, new), hunks = re.findall(r"^(?:---|\+\+\+) (\S+)$", diff, re.MULTILINE), diff.split("@@\n")[1:]
    path = root / new
    text = "" if old == "/dev/null" else path.read_text("utf-8")
    for hunk in hunks:
        lines = hunk.splitlines()
        before = "".join(f"{line[1:]}\n" for line in lines if line[:1] != "+")
        after = "".join(f"{line[1:]}\n" for line in lines if line[:1] != "-")
        assert not before or text.count(before) == 1, f"{new}: found {text.count(before)} times:\n{before}"
        text = text.replace(before, after) if before else after
    path.write_text(text, "utf-8")


def run(arguments: list[str], root: Path) -> str:
    """Run Python in the copy; a command that fails fails the test with what it said."""
    environment = {**os.environ, "PYTHONPATH": f"{root / 'engine'}{os.pathsep}{root / 'operator'}"}
    done = subprocess.run(
        [sys.executable, *arguments], cwd=root, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{arguments}\n{done.stdout[-4000:]}\n{done.stderr[-2000:]}"
    return done.stdout


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """Return a copy of the code."""
    ignored = shutil.ignore_patterns("__pycache__", "data", "*.pyc")
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, tmp_path / name, ignore=ignored)
        else:
            shutil.copy(source, tmp_path / name)
    return tmp_path


@pytest.mark.parametrize("page", sorted(path.name for path in PAGES.glob("*.md") if path.name != "README.md"))
def test_a_walk_through_works(page: str, copy: Path) -> None:
    """Its diffs apply, its first tests pass, and what is generated has what was added."""
    for diff in blocks(page, "diff"):
        apply(diff, copy)
    for generator in GENERATORS:
        run(generator, copy)
    commands = [shlex.split(line) for block in blocks(page, "console") for line in block.splitlines()]
    tests = [command[2:] for command in commands if command[:3] == ["$", ".venv/bin/python", "-m"]]
    output = run([*tests[0], "-q", "-p", "no:cacheprovider"], copy)
    assert " passed" in output
    generated = "".join((copy / name).read_text("utf-8") for name in ("docs/reference.md", "docs/states.md"))
    wanted = {"trigger.md": "SomeCached", "field.md": "spillPercent", "state.md": "Rejected"}.get(page, "")
    assert wanted in generated
