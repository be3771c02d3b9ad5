"""Where the source files of a Flow document are written, and what people call them."""

from __future__ import annotations

import re

FOLDER_PREFIX = "flowkiln-source-"
"""How the name of a temporary folder with a flow's source files begins, where a flow runs without a cluster."""

CLUSTER_FOLDER = "/etc/flowkiln/source"
"""Where a flow's source files are mounted in the pods of a run."""

_FOLDER = re.compile(rf"(?:{re.escape(CLUSTER_FOLDER)}|.*[/\\]{FOLDER_PREFIX}[^/\\]+)[/\\]")


def name_in_source(filename: str) -> str:
    """Return a source file's path as the document has it in `source.files`; the name of any other file as it is."""
    found = _FOLDER.match(filename)
    return filename if found is None else filename[found.end() :]
