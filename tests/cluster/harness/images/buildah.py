"""Build the images with buildah, on a base made from Debian's packages: no registry and no engine are needed."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.cluster.harness.commands import announced, run
from tests.cluster.harness.images.layout import Layout
from tests.cluster.harness.images.pip_settings import build_volumes
from tests.cluster.harness.images.source import folder_digest, source_digest
from tests.cluster.harness.interface import HarnessError, Images
from tests.cluster.harness.node.packages import IMAGE_TOOLS, ensure
from tests.cluster.harness.places import CHECKOUT, cache_folder, exclusive

SUITE = "bookworm"
BASE = "localhost/python:3.11"  # the Python of that suite
BASE_PACKAGES = ("ca-certificates", "python3", "python3-venv")
UNREAD = ("/usr/share/doc/*", "/usr/share/man/*", "/usr/share/locale/*", "/usr/share/info/*")
TARGETS = ("runtime", "operator")
DERIVED = "derived"
GENERATIONS = 4  # how many builds of each kind are kept


def build() -> Images:
    """Return the product's images, built when the source has changed since, and present in `layout()`."""
    ensure(IMAGE_TOOLS)
    with exclusive(cache_folder() / "locks" / "images", doing="building images"):
        if not _exists(BASE):
            _build_base()
        tag = source_digest(CHECKOUT, _image_id(BASE))
        references = {target: f"localhost/flowkiln-{target}:{tag}" for target in TARGETS}
        for target, reference in references.items():
            if not layout().has(reference):
                with announced(f"building {reference}"):
                    _build(CHECKOUT, reference, f"--build-arg=PYTHON_IMAGE={BASE}", f"--target={target}")
                    _add_to_layout(reference)
        _forget_old()
    return Images(**references)


def build_derived(folder: Path, base: str) -> str:
    """Return an image that a folder's Dockerfile makes on top of a base, one of `build()` or of `taken()`."""
    ensure(IMAGE_TOOLS)
    reference = f"localhost/flowkiln-{DERIVED}:{folder_digest(folder, base)}"
    with exclusive(cache_folder() / "locks" / "images", doing="building images"):
        if not _exists(reference):
            with announced(f"building {reference}"):
                _build(folder, reference, f"--build-arg=BASE={base}")
    return reference


@contextmanager
def taken(archive: Path) -> Iterator[str]:
    """Have the image of a docker-archive in the harness's own store for a while, by the id that this yields."""
    ensure(IMAGE_TOOLS)
    image = _buildah("pull", "--quiet", f"docker-archive:{archive}").strip()
    try:
        yield image
    finally:
        _buildah("rmi", "--force", image)


def layout() -> Layout:
    """Return the folder with the built images, from which nodes import what they lack."""
    return Layout(cache_folder() / "images" / "layout")


def exported(reference: str) -> Layout:
    """Return the layout after making sure that it has this image, which buildah must have."""
    if not layout().has(reference):
        if not _exists(reference):
            raise HarnessError(f"no image {reference}: not in the harness's own image store, and not an archive's path")
        _add_to_layout(reference)
    return layout()


def export_docker_archive(reference: str, archive: Path) -> None:
    """Write an image as a docker-archive."""
    _buildah("push", "--quiet", reference, f"docker-archive:{archive}:{reference}")


def _build_base() -> None:
    with announced(f"making {BASE} from Debian's packages (once)"), tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "root.tar"
        run(
            ["mmdebstrap", "--variant=minbase", f"--include={','.join(BASE_PACKAGES)}"]
            + [f"--dpkgopt=path-exclude={path}" for path in UNREAD]
            + [SUITE, str(root)]
        )
        container = _buildah("from", "scratch").strip()
        _buildah("add", "--quiet", container, str(root), "/")
        _buildah("config", "--cmd=python3", container)
        _buildah("commit", "--quiet", "--rm", container, BASE)


def _build(source: Path, reference: str, *options: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        volumes = build_volumes(Path(folder))
        _buildah("bud", "--layers", *volumes, *options, f"--tag={reference}", str(source))


def _add_to_layout(reference: str) -> None:
    layout().folder.mkdir(parents=True, exist_ok=True)
    _buildah("push", "--quiet", "--disable-compression", reference, f"oci:{layout().folder}:{reference}")


def _forget_old() -> None:
    """Drop all but the newest builds, so that a week of work does not fill the disk."""
    for kind in (*TARGETS, DERIVED):
        name = f"localhost/flowkiln-{kind}"
        for reference in _references(name)[GENERATIONS:]:
            _buildah("rmi", "--force", reference)
    layout().keep(lambda reference: _exists(reference))


def _references(name: str) -> list[str]:
    """Return the references of the images of this name, newest first."""
    listed = json.loads(_buildah("images", "--json", "--filter", f"reference={name}"))
    listed.sort(key=lambda image: image["createdatraw"], reverse=True)
    return [reference for image in listed for reference in image["names"]]


def _exists(reference: str) -> bool:
    return any(reference in (image["names"] or ()) for image in json.loads(_buildah("images", "--json")))


def _image_id(reference: str) -> str:
    return _buildah("images", "--quiet", "--no-trunc", reference).strip()


def _buildah(*arguments: str) -> str:
    storage = cache_folder() / "images" / "storage"
    return run(
        ["buildah", f"--root={storage}", f"--runroot={cache_folder() / 'images' / 'run'}", *arguments],
        env={"BUILDAH_ISOLATION": "chroot"},  # the others need a cgroup manager that a build machine may not have
    ).stdout
