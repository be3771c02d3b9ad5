"""Folders of the source files of a Flow document, and their display names."""

from __future__ import annotations

import re

FOLDER_PREFIX = "flowkiln-source-"
"""Prefix of the temporary folder with a flow's source files, for runs without a cluster."""

CLUSTER_FOLDER = "/etc/flowkiln/source"
"""Mount path of a flow's source files in the pods of a run."""

_FOLDER = re.compile(rf"(?:{re.escape(CLUSTER_FOLDER)}|.*[/\\]{FOLDER_PREFIX}[^/\\]+)[/\\]")


def name_in_source(filename: str) -> str:
    """Return a source file's path as in `source.files` of the document; other file names unchanged."""
    found = _FOLDER.match(filename)
    return filename if found is None else filename[found.end() :]
