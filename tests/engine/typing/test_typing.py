"""What mypy says about flows: it sees calls that do not fit, and nothing in those that do."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
from pathlib import Path

import flowkiln
from flowkiln import Task
from flowkiln.core.task import TaskOptions

HERE = Path(__file__).parent
REPOSITORY = HERE.parents[2]
SETTINGS = """
[mypy]
strict = True
allow_untyped_defs = True
allow_untyped_calls = True
mypy_path = {engine}:{weather}
[mypy-weather,embed]
ignore_errors = True
[mypy-distributed.*,dask.*]
follow_imports = skip
ignore_missing_imports = True
"""
SNIPPETS = HERE / "snippets" / "flows.py"


def readme_flow() -> str:
    """The Python flow of the README."""
    readme = (REPOSITORY / "README.md").read_text()
    (flow,) = (block for block in re.findall(r"```python\n(.*?)```", readme, re.DOTALL) if "with Flow(" in block)
    return flow


def test_mypy_sees_what_is_wrong_and_nothing_else(tmp_path: Path) -> None:
    """In snippets, in the flow of the README and in the examples: strictly, but that functions may be untyped."""
    files = [SNIPPETS, tmp_path / "readme.py"]
    files[1].write_text(readme_flow())
    for example in (REPOSITORY / "examples").rglob("flow.py"):
        files.append(tmp_path / f"{example.parent.name}_example.py")
        files[-1].write_text(example.read_text())
    settings = tmp_path / "mypy.ini"
    settings.write_text(
        SETTINGS.format(engine=Path(flowkiln.__file__).parents[1], weather=REPOSITORY / "examples/weather")
    )
    command = [
        sys.executable,
        "-m",
        "mypy",
        "--config-file",
        str(settings),
        "--cache-dir",
        str(REPOSITORY / ".mypy_cache"),
    ]
    done = subprocess.run([*command, *map(str, files)], capture_output=True, text=True, check=False)
    assert done.returncode in (0, 1), done.stdout + done.stderr
    found = {
        (Path(match[1]).name, int(match[2]), match[3])
        for match in re.finditer(r"^(.*):(\d+): error: .*\[([\w-]+)\]$", done.stdout, re.MULTILINE)
    }
    expected = {
        (SNIPPETS.name, number, code)
        for number, line in enumerate(SNIPPETS.read_text().splitlines(), start=1)
        if "# error: " in line
        for code in line.partition("# error: ")[2].split(", ")
    }
    assert found == expected, done.stdout


def test_the_keywords_of_the_decorator_are_those_of_a_task() -> None:
    """They are written down twice, for people and for type checkers."""
    assert {*TaskOptions.__annotations__, "name"} == {*inspect.signature(Task.__init__).parameters} - {"self"}


def test_the_package_says_that_it_is_typed() -> None:
    """Else type checkers of others see nothing."""
    assert (Path(flowkiln.__file__).parent / "py.typed").exists()
