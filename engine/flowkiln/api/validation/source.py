"""Source files: paths stay inside their folder, and everything fits."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePosixPath

from flowkiln.api.flow import MAX_SOURCE_BYTES, FlowSpec
from flowkiln.api.validation.problem import Problem


def check_source(spec: FlowSpec) -> Iterator[Problem]:
    """Check paths and total size of the source files."""
    if spec.source is None:
        return
    files: dict[PurePosixPath, int] = {}
    folders: dict[PurePosixPath, str] = {}
    for index, file in enumerate(spec.source.files):
        field = f"source.files[{index}].path"
        path = PurePosixPath(file.path)
        above = [parent for parent in path.parents if parent in files]
        if complaint := _complaint(file.path):
            yield Problem(field, f'"{file.path}" {complaint}')
        elif path in files:
            yield Problem(field, f'source.files[{files[path]}] has the path "{file.path}" already')
        elif above:
            yield Problem(field, f'"{above[0]}" is a file, so nothing can be below it')
        elif path in folders:
            yield Problem(field, f'"{file.path}" is a folder, since "{folders[path]}" is below it')
        else:
            files[path] = index
            folders.update(dict.fromkeys(path.parents, file.path))
    total = sum(len(file.content.encode()) for file in spec.source.files)
    if total > MAX_SOURCE_BYTES:
        yield Problem(
            "source.files",
            f"{total} bytes in all are more than {MAX_SOURCE_BYTES}; put the code into the image (cluster.image)",
        )


def _complaint(path: str) -> str | None:
    parts = path.split("/")
    if path.startswith("/"):
        return "is absolute; paths are relative to the folder that modules are imported from"
    if ".." in parts:
        return 'contains ".."; files cannot be outside of their folder'
    if "" in parts or "." in parts:
        return "contains an empty part; write it like lib/units.py"
    if parts[0].startswith(".."):
        return 'begins with "..", which Kubernetes keeps for itself'
    if any(ord(character) < 32 or character in "\\:" for character in path):
        return "contains a character that file names cannot have"
    return None
