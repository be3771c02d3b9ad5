"""What the images are built from, as one digest."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
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


def source_digest(checkout: Path, *more: str) -> str:
    """Return a digest of all of these files, and of whatever else the images depend on."""
    digest = hashlib.sha256("\0".join(more).encode())
    for file in source_files(checkout):
        content = file.read_bytes()
        digest.update(f"\0{file.relative_to(checkout)}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()[:16]
