"""A folder of images as OCI defines it, and archives of what a node does not have of one.

A node that has an image's dependencies already then imports a megabyte of code instead of half a gigabyte.
"""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import IO, Any

REFERENCE = "org.opencontainers.image.ref.name"
CONTAINERD_NAME = "io.containerd.image.name"


class Layout:
    """An OCI image layout with the references of its images as annotations."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def has(self, reference: str) -> bool:
        """Return whether an image of this reference is in it."""
        return any(_reference(descriptor) == reference for descriptor in self._index()["manifests"])

    def blobs(self, reference: str) -> list[str]:
        """Return the digests of an image's manifest, configuration and layers."""
        descriptor = self._descriptor(reference)
        manifest = json.loads(self._blob(descriptor["digest"]).read_text())
        parts = [manifest["config"], *manifest["layers"]]
        return [descriptor["digest"], *(part["digest"] for part in parts)]

    def write_archive(self, reference: str, without: Collection[str], file: IO[bytes]) -> None:
        """Write an image as a tar, leaving out the blobs that its reader has already."""
        descriptor = dict(self._descriptor(reference))
        descriptor["annotations"] = {CONTAINERD_NAME: reference, REFERENCE: reference}
        index = {"schemaVersion": 2, "manifests": [descriptor]}
        with tarfile.open(fileobj=file, mode="w|") as tar:
            _add(tar, "oci-layout", json.dumps({"imageLayoutVersion": "1.0.0"}).encode())
            _add(tar, "index.json", json.dumps(index).encode())
            # The manifest always goes along: the reader finds the blobs that it has by it.
            for digest in dict.fromkeys(self.blobs(reference)):
                if digest == descriptor["digest"] or digest not in without:
                    tar.add(self._blob(digest), arcname=f"blobs/{digest.replace(':', '/')}")

    def keep(self, wanted: Callable[[str], bool]) -> None:
        """Drop the images that are not wanted, and the blobs that no other image has."""
        index = self._index()
        index["manifests"] = [descriptor for descriptor in index["manifests"] if wanted(_reference(descriptor))]
        (self.folder / "index.json").write_text(json.dumps(index))
        used = {digest for descriptor in index["manifests"] for digest in self.blobs(_reference(descriptor))}
        for blob in self._all_blobs():
            if f"sha256:{blob.name}" not in used:
                blob.unlink()

    def _all_blobs(self) -> Iterator[Path]:
        return (self.folder / "blobs" / "sha256").iterdir()

    def _descriptor(self, reference: str) -> dict[str, Any]:
        found: dict[str, Any] = next(d for d in self._index()["manifests"] if _reference(d) == reference)
        return found

    def _blob(self, digest: str) -> Path:
        return self.folder / "blobs" / digest.replace(":", "/")

    def _index(self) -> dict[str, Any]:
        try:
            index: dict[str, Any] = json.loads((self.folder / "index.json").read_text())
        except FileNotFoundError:
            return {"schemaVersion": 2, "manifests": []}
        return index


def _reference(descriptor: dict[str, Any]) -> str:
    return str(descriptor.get("annotations", {}).get(REFERENCE, ""))


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = len(content)
    tar.addfile(entry, io.BytesIO(content))
