"""Find modules of a folder that would hide others: Python's own, and those that a worker process needs to start.

In a new process the folder of a flow comes first on the path. If it has an `email.py`, Dask imports that as `email`,
and no worker starts. In a process that has already imported Python's `email`, the flow gets that instead of its own.
"""

from __future__ import annotations

import sys
from pathlib import Path

from flowkiln.common.exceptions import FlowLoadError

_NEEDED_BY_WORKERS = frozenset(
    {
        "click",
        "cloudpickle",
        "cronsim",
        "dask",
        "distributed",
        "flowkiln",
        "fsspec",
        "importlib_metadata",
        "jinja2",
        "locket",
        "markupsafe",
        "msgpack",
        "numpy",
        "packaging",
        "pandas",
        "partd",
        "platformdirs",
        "psutil",
        "pydantic",
        "rich",
        "sortedcontainers",
        "tblib",
        "tlz",
        "toolz",
        "tornado",
        "typing_extensions",
        "yaml",
        "zict",
        "zipp",
    }
)
"""Modules that distributed and flowkiln import, some only if they are installed."""


def refuse_hidden_modules(folder: Path) -> None:
    """Raise FlowLoadError if a file or package of the folder would hide a module."""
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        is_package = path.is_dir() and (path / "__init__.py").exists()
        name = path.name if is_package else path.stem
        if not is_package and path.suffix != ".py":
            continue
        owner = "Python" if name in sys.stdlib_module_names else "Flowkiln" if name in _NEEDED_BY_WORKERS else None
        if owner is not None and not _is_that_module(name, path):
            raise FlowLoadError(
                f"{path}: it hides the module {name!r} that {owner} needs, because it is in the folder of the flow; "
                f"give the {'folder' if is_package else 'file'} another name"
            )


def _is_that_module(name: str, path: Path) -> bool:
    """Return whether the path is the module itself, because a folder of sources is on the path."""
    file = getattr(sys.modules.get(name), "__file__", None)
    return file is not None and Path(file).resolve().is_relative_to(path.resolve())
