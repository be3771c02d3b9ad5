"""Check a Python file of flows: its import and the graphs of its flows."""

from __future__ import annotations

from pathlib import Path

from flowkiln.api.validation import Problem
from flowkiln.common.exceptions import FlowLoadError
from flowkiln.common.safe_text import safe_str
from flowkiln.loading.findings import Finding
from flowkiln.loading.import_path import ImportPath
from flowkiln.loading.python_files import flows_in, load_module, module_of


def check_python(file: Path) -> tuple[int, list[Finding]]:
    """Import a file, which runs its code, and check its flows; return their number and the findings."""
    path = file.resolve()
    if not path.is_file():
        return 0, [Finding(file, "", Problem("", "cannot be read (no such file)"))]
    try:
        folder, module_name = module_of(path)
        import_path = ImportPath(folder)
        try:
            found = flows_in(load_module(path, module_name, import_path))
        finally:
            import_path.close()
    except FlowLoadError as error:
        return 0, [_of_import(file, path, error)]
    flows = list({id(flow): flow for flow in found.values()}.values())
    if not flows:
        problem = Problem("", "there is no flow at module level; write `with Flow(...) as flow:` there")
        return 0, [Finding(file, "", problem)]
    findings = []
    for flow in flows:
        try:
            flow.validate()
        except Exception as error:
            findings.append(Finding(file, f"flow {flow.name!r}", Problem("", safe_str(error))))
    return len(flows), findings


def _of_import(file: Path, path: Path, error: FlowLoadError) -> Finding:
    line, column = _place(error.__cause__, path)
    return Finding(file, "", Problem("", str(error).removeprefix(f"{path}: ")), line, column)


def _place(error: BaseException | None, path: Path) -> tuple[int | None, int | None]:
    """Return the line of a file that raised an error, if the traceback has one."""
    if isinstance(error, SyntaxError) and error.filename is not None and Path(error.filename) == path:
        return error.lineno, error.offset
    line: int | None = None
    frames = None if error is None else error.__traceback__
    while frames is not None:
        if Path(frames.tb_frame.f_code.co_filename) == path:
            line = frames.tb_lineno
        frames = frames.tb_next
    return line, None if line is None else 1
