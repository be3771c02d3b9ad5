"""Bring images onto the nodes of a kind cluster."""

from __future__ import annotations

import tempfile
from pathlib import Path

from tests.cluster.harness.commands import CommandError, run

INCOMPLETE = "content digest"  # of what containerd says of an image whose index names more than is there


def load(source: Path | str, cluster: str) -> None:
    """Load a docker-archive, or an image that Docker has, by its reference, onto all nodes of a cluster."""
    if isinstance(source, Path):
        _load_archive(source, cluster)
        return
    try:
        run(["kind", "load", "docker-image", source, f"--name={cluster}"])
    except CommandError as error:
        if INCOMPLETE not in error.output:
            raise
        _load_one_platform(source, cluster)


def _load_one_platform(reference: str, cluster: str) -> None:
    """Load what Docker has of an image of several platforms.

    With Docker's containerd image store, a pulled image comes with the index of all of its platforms, of which one is
    there, and kind insists on all (kubernetes-sigs/kind#3795; kind's known issues say to do this, by Docker 28).
    """
    platform = run(["docker", "image", "inspect", "--format={{.Os}}/{{.Architecture}}", reference]).stdout.strip()
    with tempfile.TemporaryDirectory() as folder:
        archive = Path(folder) / "image.tar"
        run(["docker", "image", "save", f"--platform={platform}", f"--output={archive}", reference])
        _load_archive(archive, cluster)


def _load_archive(archive: Path, cluster: str) -> None:
    run(["kind", "load", "image-archive", str(archive), f"--name={cluster}"])
