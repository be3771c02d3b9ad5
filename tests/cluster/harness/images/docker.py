"""Images for kind: by Docker where it can have the base image, else by buildah."""

from __future__ import annotations

import re
from pathlib import Path

from tests.cluster.harness.commands import announced, run
from tests.cluster.harness.images import buildah
from tests.cluster.harness.images.source import source_digest
from tests.cluster.harness.interface import HarnessError, Images
from tests.cluster.harness.places import CHECKOUT, cache_folder


def build() -> Images:
    """Build the product's images for kind: they are in Docker then, or in the harness's own store."""
    base = _default_base()
    if _in_docker(base) or _pulled(base):
        return _build_by_docker(base)
    try:
        return buildah.build()
    except HarnessError as error:
        raise HarnessError(f"Docker cannot have {base}, and buildah cannot help: {error}") from error


def loadable(reference: str) -> Path | str:
    """Return what kind loads an image from: its reference when Docker has it, else the path of an archive."""
    if _in_docker(reference):
        return reference
    archive = cache_folder() / "images" / f"{reference.rpartition('/')[2].replace(':', '-')}.tar"
    if not archive.exists():
        for older in archive.parent.glob(f"{archive.name.rpartition('-')[0]}-*.tar"):
            older.unlink()
        buildah.export_docker_archive(reference, archive)
    return archive


def _build_by_docker(base: str) -> Images:
    tag = source_digest(CHECKOUT, base)
    references = {target: f"flowkiln-{target}:{tag}" for target in buildah.TARGETS}
    for target, reference in references.items():
        if not _in_docker(reference):
            with announced(f"docker builds {reference}"):
                run(["docker", "build", "--network=host", f"--target={target}", f"--tag={reference}", CHECKOUT])
    return Images(**references)


def _in_docker(image: str) -> bool:
    return run(["docker", "image", "inspect", image], check=False).returncode == 0


def _pulled(image: str) -> bool:
    with announced(f"docker pulls {image}"):
        return run(["docker", "pull", "--quiet", image], check=False).returncode == 0


def _default_base() -> str:
    found = re.search(r"^ARG PYTHON_IMAGE=(\S+)$", (CHECKOUT / "Dockerfile").read_text(), re.MULTILINE)
    if found is None:
        raise HarnessError("the Dockerfile has no default for PYTHON_IMAGE")
    return found[1]
