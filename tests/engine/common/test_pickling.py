"""Functions that travel as code, and what tracebacks need of them."""

from __future__ import annotations

import linecache
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

from flowkiln.common.pickling import dumps

SOURCE = """
def outer(x):
    def inner():
        return 1 / x
    return inner()
"""


def _defined_in(filename: str) -> Any:
    space: dict[str, Any] = {"__name__": "__main__"}
    exec(compile(SOURCE, filename, "exec"), space)
    return space["outer"]


def test_the_file_is_kept(tmp_path: Path) -> None:
    """Of a function and of those inside it, whatever cloudpickle makes of its name."""
    path = tmp_path / "script.py"
    path.write_text(SOURCE)
    code = pickle.loads(dumps(_defined_in(str(path)))).__code__
    inner = next(one for one in code.co_consts if hasattr(one, "co_filename"))
    assert (code.co_filename, inner.co_filename) == (str(path), str(path))


def test_lines_travel_where_the_file_does_not(tmp_path: Path) -> None:
    """A cell of a notebook, or a file of another machine: the traceback shows its lines in another process too."""
    filename = "<cell 1>"
    linecache.cache[filename] = (len(SOURCE), None, SOURCE.splitlines(keepends=True), filename)
    try:
        pickled = dumps(_defined_in(filename))
    finally:
        del linecache.cache[filename]
    (tmp_path / "pickled").write_bytes(pickled)
    code = (
        "import pickle, sys, traceback\nouter = pickle.load(open(sys.argv[1], 'rb'))\n"
        "try:\n    outer(0)\nexcept ZeroDivisionError:\n    print(traceback.format_exc())"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "pickled")], capture_output=True, text=True, check=False
    )
    assert '  File "<cell 1>", line 4, in inner\n    return 1 / x' in ended.stdout


def test_code_without_a_source_travels_too() -> None:
    """As what `exec` and templates make."""
    assert pickle.loads(dumps(_defined_in("<nowhere>")))(2) == 0.5
