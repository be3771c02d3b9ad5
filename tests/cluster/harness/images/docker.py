"""Images for kind: by Docker where it can have the base image, else by buildah."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path

from tests.cluster.harness.commands import CommandError, announced, run, say
from tests.cluster.harness.images import buildah
from tests.cluster.harness.images.source import folder_digest, source_digest
from tests.cluster.harness.interface import HarnessError, Images
from tests.cluster.harness.places import CHECKOUT, cache_folder


def build() -> Images:
    """Build the product's images for kind: they are in Docker then, or in the harness's own store."""
    base = _default_base()
    problem = f"Docker cannot have {base}"
    if _in_docker(base) or _pulled(base):
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
    if not _in_docker(base):
        return buildah.build_derived(folder, base)
    reference = f"flowkiln-{buildah.DERIVED}:{folder_digest(folder, base)}"
    if _in_docker(reference):
        return reference
    try:
        with announced(f"docker builds {reference}"):
            run(["docker", "build", "--network=host", f"--build-arg=BASE={base}", f"--tag={reference}", folder])
    except CommandError as error:
        say(f"Docker could not build: {error}; buildah builds {reference}")
        with tempfile.TemporaryDirectory() as place:
            archive = Path(place) / "base.tar"
            run(["docker", "save", f"--output={archive}", base])
            return buildah.build_derived(folder, buildah.taken(archive))
    return reference


def named_for_itself(image: str) -> str:
    """Return another reference of an image that Docker has: its tag is its content.

    A node never looks for it in a registry (as it would for `latest`), nor takes an older one for it.
    """
    found = run(["docker", "image", "inspect", "--format={{.Id}}", image], check=False)
    if found.returncode != 0:
        raise HarnessError(f"FLOWKILN_TEST_IMAGE={image}: Docker has no such image; build or pull it first")
    reference = f"flowkiln-under-test:{found.stdout.strip().removeprefix('sha256:')[:16]}"
    run(["docker", "tag", image, reference])
    return reference


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
