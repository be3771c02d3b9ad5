"""Images for kind: by Docker where it can have the base image, else by buildah."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from tests.cluster.harness.commands import announced, run
from tests.cluster.harness.images import buildah
from tests.cluster.harness.images.source import source_digest
from tests.cluster.harness.interface import HarnessError, Images
from tests.cluster.harness.places import CHECKOUT, cache_folder


@dataclass(frozen=True)
class Loadable:
    """Images, and where kind loads each from: an archive's path, or its reference in Docker."""

    images: Images
    sources: dict[str, Path | str]


def build() -> Loadable:
    """Build the product's images for kind."""
    base = _default_base()
    if _obtainable(base):
        return _by_docker(base)
    try:
        images = buildah.build()
    except HarnessError as error:
        raise HarnessError(f"Docker cannot have {base}, and buildah cannot help: {error}") from error
    sources: dict[str, Path | str] = {}
    for reference in (images.runtime, images.operator):
        archive = cache_folder() / "images" / f"{reference.rpartition('/')[2].replace(':', '-')}.tar"
        if not archive.exists():
            buildah.export_docker_archive(reference, archive)
        sources[reference] = archive
    return Loadable(images, sources)


def _by_docker(base: str) -> Loadable:
    tag = source_digest(CHECKOUT, base)
    images = Images(*(f"flowkiln-{target}:{tag}" for target in buildah.TARGETS))
    for target, reference in zip(buildah.TARGETS, (images.runtime, images.operator), strict=True):
        if run(["docker", "image", "inspect", reference], check=False).returncode != 0:
            with announced(f"docker builds {reference}"):
                run(["docker", "build", "--network=host", f"--target={target}", f"--tag={reference}", str(CHECKOUT)])
    return Loadable(images, {images.runtime: images.runtime, images.operator: images.operator})


def _obtainable(image: str) -> bool:
    if run(["docker", "image", "inspect", image], check=False).returncode == 0:
        return True
    with announced(f"docker pulls {image}"):
        return run(["docker", "pull", image], check=False).returncode == 0


def _default_base() -> str:
    found = re.search(r"^ARG PYTHON_IMAGE=(\S+)$", (CHECKOUT / "Dockerfile").read_text(), re.MULTILINE)
    if found is None:
        raise HarnessError("the Dockerfile has no default for PYTHON_IMAGE")
    return found[1]
