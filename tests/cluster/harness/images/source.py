"""What the images are built from, as one digest."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path

FILES = ("Dockerfile", ".dockerignore", "pyproject.toml", "README.md", "LICENSE")
FOLDERS = ("requirements", "engine", "operator")
DERIVED = ("__pycache__", ".egg-info", ".pyc")  # as .dockerignore leaves out


def source_files(checkout: Path) -> Iterator[Path]:
    """Yield the files that go into the images, in an order that is always the same."""
    for name in FILES:
        yield checkout / name
    for folder in FOLDERS:
        for path in sorted((checkout / folder).rglob("*")):
            if path.is_file() and not any(mark in str(path.relative_to(checkout)) for mark in DERIVED):
                yield path


def folder_digest(folder: Path, *more: str) -> str:
    """Return a digest of all files of a small folder, and of whatever else an image of it depends on."""
    return _digest(folder, sorted(path for path in folder.rglob("*") if path.is_file()), more)


def source_digest(checkout: Path, *more: str) -> str:
    """Return a digest of all of these files, and of whatever else the images depend on."""
    return _digest(checkout, source_files(checkout), more)


def _digest(folder: Path, files: Iterable[Path], more: Iterable[str]) -> str:
    digest = hashlib.sha256("\0".join(more).encode())
    for file in files:
        content = file.read_bytes()
        digest.update(f"\0{file.relative_to(folder)}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()[:16]
