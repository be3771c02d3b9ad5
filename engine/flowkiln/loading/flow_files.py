"""Load a flow from one Python file or from YAML files."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from flowkiln.common.exceptions import FlowLoadError, InvalidSpecError
from flowkiln.loading.import_path import ImportPath
from flowkiln.loading.loaded_flow import LoadedFlow, parameters_of
from flowkiln.loading.python_files import load_flow, module_of

YAML_SUFFIXES = frozenset({".yaml", ".yml", ".json"})


def load_file(path: Path | str, *more: Path | str, parameters: Mapping[str, Any] | None = None) -> LoadedFlow:
    """Load the flow of a Python file (`flow.py`, or `flow.py:attribute`), or of YAML files.

    YAML files hold one Flow, or several and one FlowRun that names one of them. `parameters` override those of
    the FlowRun; a `RawValue` is read by its schema.

    Raises:
        InvalidSpecError: documents or parameters are not valid; no code has been imported.
        FlowLoadError: code cannot be loaded.
    """
    given = dict(parameters or {})
    file, attribute = _split(str(path))
    if file.suffix == ".py":
        if more:
            raise InvalidSpecError(f"{path}: a Python file is loaded alone; give parameters instead of {more[0]}")
        return _load_python(file, attribute, given)
    files = [Path(one) for one in (path, *more)]
    for one in files:
        if one.suffix not in YAML_SUFFIXES:
            raise InvalidSpecError(f"{one}: neither a Python file (.py) nor a document (.yaml)")
    # Imported here: documents import the validation and pydantic.
    from flowkiln.loading.document_files import load_documents

    return load_documents(files, given)


def _split(path: str) -> tuple[Path, str | None]:
    """Split `flow.py:attribute` into path and attribute."""
    head, colon, attribute = path.rpartition(":")
    if colon and head.endswith(".py") and attribute.isidentifier():
        return Path(head).resolve(), attribute
    return Path(path).resolve() if path.endswith(".py") else Path(path), None


def _load_python(file: Path, attribute: str | None, given: dict[str, Any]) -> LoadedFlow:
    if not file.is_file():
        raise FlowLoadError(f"{file}: there is no such file")
    folder, module_name = module_of(file)
    with ExitStack() as held:
        import_path = ImportPath(folder)
        held.callback(import_path.close)
        flow = load_flow(file, attribute, module_name, import_path)
        values = parameters_of(flow, given)
        return LoadedFlow(flow, flow.name, values, {}, None, held.pop_all())
