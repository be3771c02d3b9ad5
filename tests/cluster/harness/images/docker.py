"""Images for kind: by Docker where it can have the base image, else by buildah."""

from __future__ import annotations

import os
import re
import tempfile
from pathlib import Path

from tests.cluster.harness.commands import CommandError, announced, run, say
from tests.cluster.harness.images import buildah, docker_store
from tests.cluster.harness.images.source import folder_digest, source_digest
from tests.cluster.harness.interface import HarnessError, Images
from tests.cluster.harness.places import CHECKOUT, cache_folder, exclusive

PROXY_VARIABLES = ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "NO_PROXY", "no_proxy")


def build() -> Images:
    """Build the product's images for kind: they are in Docker then, or in the harness's own store."""
    base = _default_base()
    problem = f"Docker cannot have {base}"
    if docker_store.has(base) or docker_store.pull(base):
        try:
            return _build_by_docker(base)
        except CommandError as error:  # as behind a proxy: such a build knows nothing of the host's settings of pip
            problem = f"Docker could not build: {error}"
    say(f"{problem}; buildah builds the images")
    try:
        return buildah.build()
    except HarnessError as error:
        raise HarnessError(f"{problem}, and buildah cannot help: {error}") from error


def build_derived(folder: Path, base: str) -> str:
    """Return an image that a folder's Dockerfile makes on top of a base that Docker or the harness's own store has."""
    if not docker_store.has(base):
        return buildah.build_derived(folder, base)
    reference = f"flowkiln-{buildah.DERIVED}:{folder_digest(folder, base)}"
    try:
        _build(folder, reference, f"--build-arg=BASE={base}")
    except CommandError as error:
        say(f"Docker could not build: {error}; buildah builds {reference}")
        with tempfile.TemporaryDirectory() as place:
            archive = Path(place) / "base.tar"
            run(["docker", "save", f"--output={archive}", base])
            with buildah.taken(archive) as taken:
                return buildah.build_derived(folder, taken)
    return reference


def named_for_itself(image: str, name: str, *, setting: str) -> str:
    """Return another reference of an image that Docker has: of this name, and its tag is its content.

    `setting` is where a person named the image. A node never looks for it in a registry (as it would for `latest`),
    nor takes an older one for it.
    """
    found = run(["docker", "image", "inspect", "--format={{.Id}}", image], check=False)
    if found.returncode != 0:
        raise HarnessError(f"{setting}={image}: Docker has no such image; build or pull it first")
    reference = f"{name}:{found.stdout.strip().removeprefix('sha256:')[:16]}"
    run(["docker", "tag", image, reference])
    docker_store.forget_old(reference)
    return reference


def loadable(reference: str) -> Path | str:
    """Return what kind loads an image from: its reference when Docker has it, else the path of an archive."""
    if docker_store.has(reference):
        return reference
    archive = cache_folder() / "images" / f"{reference.rpartition('/')[2].replace(':', '-')}.tar"
    with exclusive(cache_folder() / "locks" / "images", doing="building images"):
        if not archive.exists():
            _export(reference, archive)
    return archive


def _export(reference: str, archive: Path) -> None:
    """Write an archive, whole or not at all, in place of the older ones of this name."""
    for older in archive.parent.glob(f"{archive.name.rpartition('-')[0]}-*.tar*"):
        older.unlink()
    unfinished = archive.with_name(f"{archive.name}.part")
    buildah.export_docker_archive(reference, unfinished)
    unfinished.rename(archive)


def _build_by_docker(base: str) -> Images:
    tag = source_digest(CHECKOUT, base)
    references = {target: f"flowkiln-{target}:{tag}" for target in buildah.TARGETS}
    for target, reference in references.items():
        _build(CHECKOUT, reference, f"--target={target}")
    return Images(**references)


def _build(source: Path, reference: str, option: str) -> None:
    """Build an image unless Docker has it."""
    if docker_store.has(reference):
        return
    # Without values: Docker takes them from the environment, and keeps those of these names out of images' histories.
    proxies = [f"--build-arg={name}" for name in PROXY_VARIABLES if os.environ.get(name)]
    with announced(f"docker builds {reference}"):
        run(["docker", "build", "--network=host", *proxies, option, f"--tag={reference}", source])
    if not docker_store.has(reference):
        raise HarnessError(
            f"`docker build` made {reference} and left it out of Docker, as builders of other drivers do: "
            "choose one of the driver `docker` (`docker buildx ls` lists them, `docker buildx use NAME` chooses)"
        )
    docker_store.forget_old(reference)


def _default_base() -> str:
    found = re.search(r"^ARG PYTHON_IMAGE=(\S+)$", (CHECKOUT / "Dockerfile").read_text(), re.MULTILINE)
    if found is None:
        raise HarnessError("the Dockerfile has no default for PYTHON_IMAGE")
    return found[1]
